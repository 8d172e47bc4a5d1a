import { assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import { Subscribers } from "./subscribers.ts";

test("Subscribers calls each as often as it was added, until it goes", () => {
  const subscribers = new Subscribers();
  const calls: string[] = [];
  const a = () => void calls.push("a");
  const endFirst = subscribers.add(a);
  const endSecond = subscribers.add(a);
  subscribers.add(() => void calls.push("b"));
  subscribers.notify();
  endFirst();
  endFirst();
  subscribers.notify();
  endSecond();
  subscribers.notify();
  assertEquals(calls.join(""), "aababb");
});

test("Subscribers calls the others when one throws", () => {
  const subscribers = new Subscribers();
  let called = 0;
  subscribers.add(() => {
    throw new TypeError("a fault in a listener");
  });
  subscribers.add(() => called++);
  subscribers.notify();
  assertEquals(called, 1);
});
