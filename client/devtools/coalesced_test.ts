import { test } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { coalesced } from "./_coalesced.ts";

test("coalesced() runs once at a time, and once more for all who asked meanwhile", async () => {
  const gates: (() => void)[] = [];
  const run = coalesced(() => new Promise<void>((resolve) => gates.push(resolve)));
  const all = [run(), run(), run()];
  assertEquals(gates.length, 1);
  gates[0]!();
  while (gates.length < 2) await Promise.resolve();
  gates[1]!();
  await Promise.all(all);
  assertEquals(gates.length, 2);
});

test("coalesced() goes on after a failure, which all who asked hear of", async () => {
  let runs = 0;
  const run = coalesced(() => {
    runs++;
    return runs === 1 ? Promise.reject(new Error("first")) : Promise.resolve();
  });
  await assertRejects(run, Error, "first");
  await run();
  assertEquals(runs, 2);
});
