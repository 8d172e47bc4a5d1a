import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import {
  canonicalJson,
  compareCodePoints,
  isJsonValue,
  type JsonValue,
  MAX_JSON_DEPTH,
} from "./json.ts";

// Any code point but lone surrogates, in keys too. JSON.stringify turns −0, which is 0, into it.
const json: fc.Arbitrary<JsonValue> = fc.jsonValue({ stringUnit: "binary" })
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonValue);
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({
    unit: fc.constantFrom("a", "\u{D7FF}", "\u{E000}", "\u{FF5E}", "\u{1F600}", "\u{1F601}"),
  }),
);

/** RFC 8785 in its most naive form. */
function naiveCanonical(value: JsonValue): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(naiveCanonical).join(",")}]`;
  const members = Object.entries(value).map(([key, item]) => {
    const units = key.split("").map((unit) => unit.charCodeAt(0).toString(16).padStart(4, "0"));
    return { order: units.join(""), text: `${JSON.stringify(key)}:${naiveCanonical(item)}` };
  });
  members.sort((a, b) => a.order < b.order ? -1 : 1);
  return `{${members.map(({ text }) => text).join(",")}}`;
}

function reverseKeys(value: JsonValue): JsonValue {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(reverseKeys);
  return Object.fromEntries(
    Object.entries(value).reverse().map(([key, item]) => [key, reverseKeys(item)]),
  );
}

function double(hex: string): number {
  return new DataView(new BigUint64Array([BigInt(`0x${hex}`)]).buffer).getFloat64(
    0,
    new Uint8Array(new Uint16Array([1]).buffer)[0] === 1,
  );
}

function nested(depth: number, leaf: JsonValue = 0): JsonValue {
  let value = leaf;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
}

test("canonicalJson() gives the text of RFC 8785's example (section 3.2.4)", () => {
  const value = JSON.parse(String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`);
  assertEquals(
    canonicalJson(value),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
});

test("canonicalJson() sorts keys as RFC 8785's example does (section 3.2.3)", () => {
  const value = JSON.parse(String.raw`{
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis"
  }`);
  assertEquals(
    canonicalJson(value),
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control",' +
      '"\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign",' +
      '"\u{1F600}":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  );
});

test("canonicalJson() writes the numbers of RFC 8785's appendix B", () => {
  const samples = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
  };
  for (const [hex, expected] of Object.entries(samples)) {
    assertEquals(canonicalJson(double(hex)), expected);
    assertEquals(canonicalJson([double(hex)]), `[${expected}]`);
  }
});

test("canonicalJson() throws TypeError for what JSON has no form for, at the top and below", () => {
  const bad = [NaN, Infinity, -Infinity, "\uD800", "a\uDC00", undefined, () => 1, 1n, Symbol()];
  for (const value of bad) assertThrows(() => canonicalJson(value as JsonValue), TypeError);
  for (const value of [NaN, Infinity, "\uD800", 1n, { "\uDC00": 1 }]) {
    assertThrows(() => canonicalJson([value as JsonValue]), TypeError, "Cannot canonicalise");
  }
});

test("canonicalJson() sorts integer-like keys as text and keeps __proto__ a key", () => {
  assertEquals(
    canonicalJson(
      JSON.parse('{"b":1,"10":2,"9":3,"__proto__":{"x":1,"__proto__":2},"constructor":4}'),
    ),
    '{"10":2,"9":3,"__proto__":{"__proto__":2,"x":1},"b":1,"constructor":4}',
  );
  assertEquals(canonicalJson({ toJSON: 1, length: 2 }), '{"length":2,"toJSON":1}');
});

test("canonicalJson() is undone by JSON.parse()", () => {
  fc.assert(
    fc.property(json, (value) => assertEquals(JSON.parse(canonicalJson(value)), value)),
    { seed: 42, numRuns: 500 },
  );
});

test("canonicalJson() agrees with a naive version and does not depend on the order of keys", () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = canonicalJson(value);
      assertEquals(text, naiveCanonical(value));
      assertEquals(canonicalJson(reverseKeys(value)), text);
    }),
    { seed: 42, numRuns: 500 },
  );
});

test("canonicalJson() takes values as deep as isJsonValue() does", () => {
  const value = nested(MAX_JSON_DEPTH);
  assertEquals(canonicalJson(value), JSON.stringify(value));
});

test("compareCodePoints() agrees with comparing lists of code points", () => {
  const naive = (a: string, b: string): number => {
    const [x, y] = [a, b].map((text) => Array.from(text, (letter) => letter.codePointAt(0)!));
    for (let i = 0; i < Math.min(x!.length, y!.length); i++) {
      if (x![i] !== y![i]) return Math.sign(x![i]! - y![i]!);
    }
    return Math.sign(x!.length - y!.length);
  };
  fc.assert(
    fc.property(text, text, text, (prefix, a, b) => {
      assertEquals(Math.sign(compareCodePoints(a, b)), naive(a, b));
      assertEquals(Math.sign(compareCodePoints(prefix + a, prefix + b)), naive(a, b));
      assertEquals(compareCodePoints(a, a), 0);
    }),
    { seed: 42, numRuns: 1_000 },
  );
});

test("compareCodePoints() puts code points beyond U+FFFF above U+E000 to U+FFFF", () => {
  const sorted = [
    "",
    "a",
    "ab",
    "b",
    "\u{D7FF}",
    "\u{E000}",
    "\u{FFFF}",
    "\u{10000}",
    "\u{10FFFF}",
  ];
  assertEquals([...sorted].reverse().sort(compareCodePoints), sorted);
});

test("isJsonValue() takes what JSON can say", () => {
  fc.assert(fc.property(json, (value) => assert(isJsonValue(value))), { seed: 42 });
  const good = [null, true, "", "\u{1F600}", 0, -0, 1.5, [], {}, [[null]], Object.create(null)];
  for (const value of good) assert(isJsonValue(value));
  assert(isJsonValue(JSON.parse('{"__proto__":{"constructor":null}}')));
});

test("isJsonValue() refuses what JSON cannot say, at the top, in lists, in objects", () => {
  const bad = [
    undefined,
    NaN,
    Infinity,
    -Infinity,
    1n,
    Symbol(),
    () => 1,
    "\uD800",
    "\uDC00a",
    new Date(0),
    new Map(),
    new Uint8Array(1),
    new (class A {})(),
    /x/,
    new Array(1),
  ];
  for (const value of bad) {
    assertFalse(isJsonValue(value));
    assertFalse(isJsonValue([1, value]));
    assertFalse(isJsonValue({ a: 1, b: value }));
  }
  assertFalse(isJsonValue({ "\uD800": 1 }));
});

test("isJsonValue() takes MAX_JSON_DEPTH levels and refuses one more, also in a cycle", () => {
  assert(isJsonValue(nested(MAX_JSON_DEPTH)));
  assertFalse(isJsonValue(nested(MAX_JSON_DEPTH + 1)));
  assertFalse(isJsonValue(nested(100_000)));
  const cycle: unknown[] = [];
  cycle.push(cycle, cycle);
  assertFalse(isJsonValue(cycle));
});
