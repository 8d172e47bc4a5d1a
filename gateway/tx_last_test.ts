import { assertEquals } from "@std/assert";
import type { NewEntry } from "@lakesync/core";
import { insertTodo, test } from "@lakesync/testing";
import { txLasts } from "./tx_last.ts";

function entries(...ends: boolean[]): NewEntry[] {
  const effect = {
    before: "none",
    after: "alive",
    last: true,
    life: true,
    columns: undefined,
    state: undefined,
    judged: undefined,
  } as const;
  return ends.map((txEnd, i) => ({ delta: insertTodo(`r${i}`, i + 1), effect, txEnd, keys: [] }));
}

test("txLasts() gives each entry the seq of its transaction's last one", () => {
  assertEquals(txLasts([], 7), []);
  assertEquals(txLasts(entries(true), 7), [7]);
  assertEquals(txLasts(entries(true, false, false, true, true), 11), [11, 14, 14, 14, 15]);
});

test("txLasts() ends a transaction with the append at the latest", () => {
  assertEquals(txLasts(entries(true, false, false), 1), [1, 3, 3]);
});
