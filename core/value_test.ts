import { Buffer } from "node:buffer";
import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import { type JsonValue, MAX_JSON_DEPTH } from "./json.ts";
import type { ColumnType } from "./schema.ts";
import { decodeBase64, encodeBase64, fromWire, toWire, valueFault } from "./value.ts";

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
const column = (type: ColumnType) => ({ name: "c", type });

/** Lists that are `depth` levels deep. */
function nested(depth: number): JsonValue {
  let value: JsonValue = 0;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

const NOT_JSON = [
  undefined,
  NaN,
  Infinity,
  1n,
  Symbol(),
  () => 1,
  new Date(0),
  new Uint8Array(1),
  "\uD800",
  "a\uDFFF",
];
const LISTS = [[], [1], {}, { a: 1 }];

const FORMS: Record<ColumnType, { good: readonly unknown[]; bad: readonly unknown[] }> = {
  string: {
    good: ["", "a", "\0", "\u{1F600}", "null", "\u{FFFF}", "x".repeat(100_000)],
    bad: [0, true, ...LISTS],
  },
  number: {
    good: [0, -0, 1, -1.5, 5e-324, Number.MAX_VALUE, 2 ** 53, 0.1],
    bad: ["0", "", "1.5", "NaN", true, ...LISTS],
  },
  integer: {
    good: [
      0,
      -0,
      1,
      -1,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
      "9007199254740992",
      "9007199254740993",
      "-9007199254740992",
      "9223372036854775807",
      "-9223372036854775808",
    ],
    bad: [
      1.5,
      2 ** 53,
      -(2 ** 53),
      1e300,
      "",
      "0",
      "-0",
      "1",
      "-1",
      "9007199254740991",
      "-9007199254740991",
      "9223372036854775808",
      "-9223372036854775809",
      "10000000000000000000",
      "99999999999999999999",
      "09007199254740993",
      "+9007199254740993",
      "--9007199254740993",
      " 9007199254740993",
      "9007199254740993 ",
      "9007199254740993\n",
      "9007199254740993.0",
      "9007199254740993n",
      "9.007199254740993e15",
      "0x20000000000001",
      "９007199254740993",
      true,
      ...LISTS,
    ],
  },
  boolean: { good: [true, false], bad: [0, 1, "true", "", ...LISTS] },
  timestamp: {
    good: [
      "1970-01-01T00:00:00.000000Z",
      "2024-02-29T23:59:59.999999Z",
      "2000-02-29T00:00:00.000001Z",
      "0000-01-01T00:00:00.000000Z",
      "0000-02-29T12:00:00.000000Z",
      "0001-01-01T00:00:00.000000Z",
      "1582-10-10T00:00:00.000000Z",
      "9999-12-31T23:59:59.999999Z",
    ],
    bad: [
      "",
      "2025-02-29T00:00:00.000000Z",
      "2025-02-30T00:00:00.000000Z",
      "1900-02-29T00:00:00.000000Z",
      "2025-04-31T00:00:00.000000Z",
      "2025-00-01T00:00:00.000000Z",
      "2025-13-01T00:00:00.000000Z",
      "2025-01-00T00:00:00.000000Z",
      "2025-01-32T00:00:00.000000Z",
      "2025-01-01T24:00:00.000000Z",
      "2025-01-01T25:00:00.000000Z",
      "2025-01-01T00:60:00.000000Z",
      "2016-12-31T23:59:60.000000Z",
      "2025-01-01T00:00:00Z",
      "2025-01-01T00:00:00.000Z",
      "2025-01-01T00:00:00.00000Z",
      "2025-01-01T00:00:00.0000000Z",
      "2025-01-01T00:00:00,000000Z",
      "2025-01-01T00:00:00.000000",
      "2025-01-01T00:00:00.000000z",
      "2025-01-01t00:00:00.000000Z",
      "2025-01-01 00:00:00.000000Z",
      "2025-01-01T00:00:00.000000+00:00",
      "2025-01-01T00:00:00.000000ZZ",
      "2025-01-01T00:00:00.000000Z\n",
      " 2025-01-01T00:00:00.000000Z",
      "+002025-01-01T00:00:00.000000Z",
      "-000001-01-01T00:00:00.000000Z",
      "10000-01-01T00:00:00.000000Z",
      "999-01-01T00:00:00.000000Z",
      "2025-1-01T00:00:00.000000Z",
      "２025-01-01T00:00:00.000000Z",
      0,
      1_700_000_000_000,
      true,
      ...LISTS,
    ],
  },
  bytes: {
    good: ["", "AA==", "AQI=", "AAAA", "/w==", "+/+/", "AQIDBAUG", "AAAAAA=="],
    bad: [
      "A",
      "AA",
      "AAA",
      "AA=",
      "A===",
      "====",
      "=",
      "==",
      "AAAA=",
      "AAAA====",
      "AB==", // stray bits
      "AAB=", // stray bits
      "/x==",
      "AA==AAAA",
      "A=AA",
      "AA=A",
      "-_-_",
      "_w==",
      "AA==\n",
      "AAAA\n",
      "AA AA",
      " AAAA",
      "ÄAAA",
      0,
      true,
      ...LISTS,
    ],
  },
  json: {
    good: [
      true,
      false,
      0,
      -1.5,
      "",
      "a",
      ...LISTS,
      [null],
      { a: null },
      nested(MAX_JSON_DEPTH),
    ],
    bad: [["\uD800"], { "\uD800": 1 }, { a: undefined }, [NaN], nested(MAX_JSON_DEPTH + 1)],
  },
};

for (const [type, { good, bad }] of Object.entries(FORMS) as [ColumnType, typeof FORMS.json][]) {
  test(`valueFault() takes the one form of ${type}`, () => {
    for (const value of good) {
      assertEquals(valueFault(column(type), value), undefined, `refused ${String(value)}`);
    }
  });

  test(`valueFault() refuses for ${type} what is another type or form`, () => {
    for (const value of [...bad, ...NOT_JSON]) {
      const fault = valueFault(column(type), value);
      assertEquals(typeof fault, "string", `took ${String(value)}`);
    }
  });

  test(`valueFault() takes null for ${type} only where the column is nullable`, () => {
    assertEquals(valueFault(column(type), null), "must not be null");
    assertEquals(valueFault({ ...column(type), nullable: false }, null), "must not be null");
    assertEquals(valueFault({ ...column(type), nullable: true }, null), undefined);
  });
}

test("valueFault() knows the days of every month as Date does", () => {
  const two = (n: number) => String(n).padStart(2, "0");
  const years = [0, 1, 4, 99, 100, 400, 1582, 1900, 1999, 2000, 2023, 2024, 2100, 9996, 9999];
  for (const year of years) {
    for (let month = 0; month <= 13; month++) {
      for (let day = 0; day <= 32; day++) {
        const start = `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}T00:00:00.000`;
        const time = Date.parse(`${start}Z`);
        const exists = !Number.isNaN(time) && new Date(time).toISOString() === `${start}Z`;
        const fault = valueFault(column("timestamp"), `${start}000Z`);
        assertEquals(fault === undefined, exists, start);
      }
    }
  }
});

test("valueFault() never quotes the value", () => {
  for (const [type, { bad }] of Object.entries(FORMS) as [ColumnType, typeof FORMS.json][]) {
    const faults = new Set(bad.map((value) => valueFault(column(type), value)));
    assertEquals(faults.size, 1, type);
  }
});

test("valueFault() judges 16 MiB of base64, good or with a fault at its end", () => {
  const text = "AAAA".repeat(4_194_304);
  assertEquals(valueFault(column("bytes"), text), undefined);
  assertEquals(valueFault(column("bytes"), `${text}AA==`), undefined);
  for (const end of ["A", "AAA!", "AB==", "====", "AA=="]) {
    const fault = valueFault(column("bytes"), `${text}AA==${end}`);
    assertEquals(fault, "is not canonical padded base64");
  }
});

test("toWire() and fromWire() keep every int64, as a number where it is safe", () => {
  const edges = [0n, 1n, -1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, MIN_INT64, MAX_INT64];
  const integers = fc.oneof(
    fc.bigInt({ min: MIN_INT64, max: MAX_INT64 }),
    fc.maxSafeInteger().map(BigInt),
    fc.constantFrom(...edges, ...edges.map((n) => n === MIN_INT64 ? n : -n)),
  );
  fc.assert(
    fc.property(integers, (integer) => {
      const wire = toWire(column("integer"), integer) as JsonValue;
      assertEquals(valueFault(column("integer"), wire), undefined);
      const safe = integer >= -(2n ** 53n - 1n) && integer <= 2n ** 53n - 1n;
      assertEquals(typeof wire, safe ? "number" : "string");
      assertEquals(fromWire(column("integer"), wire, { bigint: true }), integer);
      assertEquals(fromWire(column("integer"), wire), safe ? Number(integer) : integer);
    }),
    { seed: 42, numRuns: 500 },
  );
});

test("toWire() leaves integers beyond int64 for valueFault() to name", () => {
  for (const integer of [MAX_INT64 + 1n, MIN_INT64 - 1n, 10n ** 40n]) {
    const wire = toWire(column("integer"), integer);
    assertEquals(valueFault(column("integer"), wire), "is not an integer in its one form");
  }
});

test("toWire() turns -0 into 0", () => {
  assertStrictEquals(toWire(column("number"), -0), 0);
  assertStrictEquals(toWire(column("integer"), -0), 0);
});

test("toWire() and fromWire() keep every finite number but -0", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const wire = toWire(column("number"), value) as JsonValue;
      assertEquals(valueFault(column("number"), wire), undefined);
      assertStrictEquals(fromWire(column("number"), wire), value === 0 ? 0 : value);
    }),
    { seed: 42 },
  );
});

test("toWire() gives every Date of the years 0000 to 9999 its one form", () => {
  const dates = fc.date({
    min: new Date("0000-01-01T00:00:00.000Z"),
    max: new Date("9999-12-31T23:59:59.999Z"),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(dates, (date) => {
      const wire = toWire(column("timestamp"), date);
      assertEquals(valueFault(column("timestamp"), wire), undefined);
      assertEquals(new Date(wire as string), date);
      assertEquals(fromWire(column("timestamp"), wire as string), wire as string);
    }),
    { seed: 42 },
  );
});

test("toWire() leaves invalid and far dates for valueFault() to name", () => {
  for (const date of [new Date(NaN), new Date(8.64e15), new Date(-8.64e15)]) {
    assertEquals(
      valueFault(column("timestamp"), toWire(column("timestamp"), date)),
      "is not a time YYYY-MM-DDThh:mm:ss.ffffffZ",
    );
  }
});

test("toWire() gives bytes the base64 that Buffer gives, and fromWire() gives them back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const wire = toWire(column("bytes"), bytes) as string;
      assertEquals(wire, Buffer.from(bytes).toString("base64"));
      assertEquals(valueFault(column("bytes"), wire), undefined);
      assertEquals(fromWire(column("bytes"), wire), bytes);
    }),
    { seed: 42 },
  );
});

test("valueFault() takes exactly the base64 texts that encoding gives back", () => {
  const alphabet = fc.constantFrom("A", "B", "Q", "g", "w", "E", "/", "+", "9", "=", "-");
  const reencoded = (text: string): string | undefined => {
    try {
      return encodeBase64(decodeBase64(text));
    } catch {
      return undefined;
    }
  };
  fc.assert(
    fc.property(fc.string({ unit: alphabet, maxLength: 9 }), (text) => {
      assertEquals(valueFault(column("bytes"), text) === undefined, reencoded(text) === text);
    }),
    { seed: 42, numRuns: 5_000 },
  );
});

test("encodeBase64() and decodeBase64() keep megabytes, also a view into a larger buffer", () => {
  const bytes = new Uint8Array(3_000_001).map((_, i) => (i * 31) & 0xff).subarray(1);
  assertEquals(decodeBase64(encodeBase64(bytes)), bytes);
});

test("toWire() turns undefined into null and gives back what does not fit", () => {
  for (const type of Object.keys(FORMS) as ColumnType[]) {
    assertEquals(toWire(column(type), undefined), null);
    assertEquals(toWire(column(type), null), null);
    const alien = { [Symbol("alien")]: true };
    assertStrictEquals(toWire(column(type), alien), alien);
  }
});

test("toWire() and fromWire() leave strings, booleans, times and json as they are", () => {
  const samples: readonly (readonly [ColumnType, JsonValue])[] = [
    ["string", "9007199254740993"],
    ["boolean", false],
    ["timestamp", "2025-01-01T00:00:00.123456Z"],
    ["json", { a: [1, "2", null] }],
    ["json", "AA=="],
    ["number", 1.5],
    ["integer", 7],
  ];
  for (const [type, value] of samples) {
    assertStrictEquals(toWire(column(type), value), value);
    assertStrictEquals(fromWire(column(type), value), value);
  }
});

test("fromWire() gives null for null, also where integers are bigint", () => {
  for (const type of Object.keys(FORMS) as ColumnType[]) {
    assertEquals(fromWire(column(type), null, { bigint: true }), null);
  }
});

test("fromWire() with bigint leaves types other than integer alone", () => {
  assertEquals(fromWire(column("number"), 3, { bigint: true }), 3);
  assertEquals(fromWire(column("string"), "3", { bigint: true }), "3");
});
