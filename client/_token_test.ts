import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@lakesync/testing";
import { TokenSource } from "./_token.ts";

test("a refused token is asked for once more, however many connections had it refused", async () => {
  let asked = 0;
  const source = new TokenSource(() => `t${++asked}`);
  const first = await source.get();
  assertEquals(await Promise.all([source.renew(first), source.renew(first)]), [true, true]);
  assertEquals([await source.get(), await source.get()], ["t2", "t2"]);
  assertEquals(await source.renew(first), true);
  assertEquals(await source.get(), "t2", "the present one was not refused");
  assertEquals(await new TokenSource(undefined).renew(undefined), false);
});

test("a token that was refused while the next one cannot be had is no failure of its own", async () => {
  let fails = false;
  const source = new TokenSource(() => fails ? Promise.reject(new Error("offline")) : "t");
  const first = await source.get();
  await source.renew(first);
  fails = true;
  const next = source.get();
  // A WebSocket is told of the old one now: nobody waits for what comes of that.
  const renewed = source.renew(first);
  await assertRejects(() => next!, Error, "offline");
  assertEquals(await renewed, true);
  fails = false;
  assertEquals(await source.get(), "t");
});
