import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { weighJson } from "./json_weight.ts";

test("weighJson() counts objects and lists, in a text and in its bytes alike", () => {
  for (const [text, objects] of [["", 0], ["1", 0], ["{}", 1], ['[{"é😀":[]},{}]', 4]] as const) {
    const expected = { objects, bytes: objects * 48 };
    assertEquals(weighJson(text), expected);
    assertEquals(weighJson(new TextEncoder().encode(text)), expected);
  }
});

test("braces within strings count: rather too much than too little", () => {
  assertEquals(weighJson('"{[{["').objects, 4);
});
