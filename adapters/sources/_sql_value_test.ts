import { type ColumnType, type JsonValue, valueFault } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { before, later, wireValue } from "./_sql_value.ts";

const VALUES: readonly (readonly [ColumnType, string, JsonValue | undefined])[] = [
  ["string", "a\u0000b 🐎", "a\u0000b 🐎"],
  ["string", "\ud800", undefined],
  ["number", "-0", 0],
  ["number", "1e-7", 1e-7],
  ["number", "NaN", undefined],
  ["number", "Infinity", undefined],
  ["number", "", undefined],
  ["integer", "-7", -7],
  ["integer", "007", 7],
  ["integer", "9007199254740993", "9007199254740993"],
  ["integer", "-9223372036854775808", "-9223372036854775808"],
  ["integer", "9223372036854775808", undefined],
  ["integer", "1.5", undefined],
  ["boolean", "t", true],
  ["boolean", "0", false],
  ["boolean", "2", undefined],
  ["timestamp", "2024-02-29", "2024-02-29T00:00:00.000000Z"],
  ["timestamp", "2024-02-29 12:30:00.5", "2024-02-29T12:30:00.500000Z"],
  ["timestamp", "2024-01-01 00:30:00.000001+05:30", "2023-12-31T19:00:00.000001Z"],
  ["timestamp", "2024-01-01 00:00:00-08", "2024-01-01T08:00:00.000000Z"],
  ["timestamp", "0001-01-01 00:00:00+00", "0001-01-01T00:00:00.000000Z"],
  ["timestamp", "2023-02-29", undefined],
  ["timestamp", "infinity", undefined],
  ["timestamp", "0001-01-01 00:00:00 BC", undefined],
  ["timestamp", "9999-12-31 23:59:59-01", undefined],
  ["bytes", "\\x00fF", "AP8="],
  ["bytes", "\\x0", undefined],
  ["bytes", "00ff", undefined],
  ["json", '{"a": [1, null]}', { a: [1, null] }],
  ["json", "{", undefined],
];

for (const [type, text, value] of VALUES) {
  test(`wireValue() takes ${JSON.stringify(text)} as ${type} for ${JSON.stringify(value)}`, () => {
    const made = wireValue(text, type);
    assertEquals(made, value);
    if (made !== undefined) assertEquals(valueFault({ name: "c", type }, made), undefined);
  });
}

test("wireValue() gives a value in wire form, or none, whatever the text", () => {
  const types: ColumnType[] = ["string", "number", "integer", "boolean", "timestamp", "bytes"];
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.string({ unit: "binary" }), (type, text) => {
      const made = wireValue(text, type);
      assert(made === undefined || valueFault({ name: "c", type }, made) === undefined);
    }),
    { seed: 42, numRuns: 2_000 },
  );
});

test("before() goes back by numbers and by seconds, and keeps a zone where there is one", () => {
  assertEquals(before("9223372036854775807", 7), "9223372036854775800");
  assertEquals(before("5", 10), "-5");
  assertEquals(before("2024-03-01 00:00:30.25", 60), "2024-02-29 23:59:30.250000");
  assertEquals(before("2024-03-01 02:00:00+02", 1), "2024-02-29 23:59:59.000000+00");
  assertEquals(before("abc", 1), undefined);
});

test("later() compares numbers as numbers and times as points in time", () => {
  assertEquals(later("9", "10"), "10");
  assertEquals(later("-1", "-2"), "-1");
  const [east, west] = ["2024-01-01 10:00:00+02", "2024-01-01 09:00:00.000001+00"];
  assertEquals(later(east, west), west);
  assertEquals(later(west, east), west);
});
