import { assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import { RowMap } from "./row_map.ts";

test("RowMap keeps rows of different tables apart, and counts each once", () => {
  const rows = new RowMap<string, number>();
  rows.set("a", "__proto__", 1);
  rows.set("b", "__proto__", 2);
  rows.set("a", "__proto__", 3);
  assertEquals([rows.get("a", "__proto__"), rows.get("b", "__proto__")], [3, 2]);
  assertEquals([rows.get("a", "x"), rows.get("__proto__", "x")], [undefined, undefined]);
  assertEquals([rows.size, rows.tables()], [2, ["a", "b"]]);
  assertEquals([...rows.of("a")], [["__proto__", 3]]);
  assertEquals([...rows.of("c")], []);
  assertEquals([...rows.values()], [3, 2]);
});
