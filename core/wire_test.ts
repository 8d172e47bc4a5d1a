import { assert, assertFalse } from "@std/assert";
import { test } from "@lakesync/testing";
import { isDelta } from "./wire.ts";

test("isDelta() takes what has a stamp and nothing else", () => {
  const head = { table: "t", rowId: "r", clientId: "c", hlc: "1", deltaId: "0", columns: [] };
  for (const op of ["INSERT", "UPDATE", "DELETE"] as const) assert(isDelta({ op, ...head }));
  assertFalse(isDelta({ op: "DELETE", table: "t", rowId: "r" }));
  assertFalse(isDelta({ op: "REMOVE", table: "t", rowId: "r", txId: "tx" }));
  assertFalse(isDelta({ op: "OWN", deltaId: "0" }));
  assertFalse(
    isDelta({
      op: "ENTER",
      table: "t",
      rowId: "r",
      life: ["1", "a"],
      columns: { hlc: [1, "1", "a"] },
    }),
  );
});
