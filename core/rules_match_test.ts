import { assert, assertEquals, assertFalse } from "@std/assert";
import { test } from "@lakesync/testing";
import fc from "fast-check";
import type { JsonValue } from "./json.ts";
import { indexTables } from "./parse_delta.ts";
import type { RuleFilter, RuleOp } from "./rules.ts";
import type { Claims } from "./rules_claim.ts";
import { explainRefusal, matchesRow } from "./rules_match.ts";
import { bindJoins, resolveRules } from "./rules_resolve.ts";
import type { ColumnType } from "./schema.ts";

const TYPES: readonly ColumnType[] = [
  "string",
  "number",
  "integer",
  "boolean",
  "timestamp",
  "bytes",
  "json",
];
const OPS: readonly RuleOp[] = ["eq", "neq", "in", "gt", "lt", "gte", "lte"];

const tables = indexTables([{
  table: "t",
  version: 1,
  columns: TYPES.map((type) => ({ name: `c_${type}`, type, nullable: true })),
}]);

function judge(
  filters: readonly RuleFilter[],
  facts: readonly [string, JsonValue][],
  claims: Claims = {},
): boolean {
  const buckets = [{ name: "b", tables: ["t"], filters }];
  return matchesRow(resolveRules(buckets, { claims, tables }), { table: "t", rowId: "r1", facts });
}

/** For each type three values in order, the middle one of which rules and rows share. */
const ORDERED: { readonly [type in ColumnType]?: readonly [JsonValue, JsonValue, JsonValue] } = {
  // By code point the emoji comes after U+FF5E; by UTF-16 unit it would come before.
  string: ["\u{FF5E}", "\u{1F600}", "\u{1F600}a"],
  number: [-1.5, 0, 1e-7],
  // By text "10" would come before 9.
  integer: [9, 10, "9007199254740993"],
  timestamp: [
    "2025-01-01T00:00:00.000000Z",
    "2025-01-01T00:00:00.000001Z",
    "2025-01-01T00:00:01.000000Z",
  ],
};
const UNORDERED: { readonly [type in ColumnType]?: readonly [JsonValue, JsonValue] } = {
  boolean: [true, false],
  bytes: ["AQ==", "Ag=="],
  json: [{ a: 1, b: [2] }, { a: 1 }],
};
const EXPECTED: {
  readonly [op in RuleOp]: readonly [below: boolean, equal: boolean, above: boolean];
} = {
  eq: [false, true, false],
  in: [false, true, false],
  neq: [true, false, true],
  gt: [false, false, true],
  gte: [false, true, true],
  lt: [true, false, false],
  lte: [true, true, false],
};

for (const op of OPS) {
  test(`${op} compares strings by code point, numbers, integers and timestamps by value`, () => {
    for (const [type, values] of Object.entries(ORDERED)) {
      const filter = { column: `c_${type}`, op, value: values[1] };
      const verdicts = values.map((value) => judge([filter], [[`c_${type}`, value]]));
      assertEquals(verdicts, [...EXPECTED[op]], type);
    }
  });

  test(`${op} tells booleans, bytes and JSON apart, but finds no order among them`, () => {
    for (const [type, [same, other]] of Object.entries(UNORDERED)) {
      const filter = { column: `c_${type}`, op, value: same };
      const verdicts = [same, other].map((value) => judge([filter], [[`c_${type}`, value]]));
      const [, equal, above] = op === "neq" || op === "eq" || op === "in"
        ? EXPECTED[op]
        : [false, false, false];
      assertEquals(verdicts, [equal, above], type);
    }
  });

  test(`${op} matches nothing where an operand is null, absent or of another type`, () => {
    const strange: readonly (JsonValue | undefined)[] = [null, undefined, { a: 1 }, [], [null], [
      [],
    ]];
    for (const type of TYPES) {
      const column = `c_${type}`;
      const good = (ORDERED[type] ?? UNORDERED[type])![0];
      const filter = { column, op, value: good };
      assertFalse(judge([filter], [[column, null]]), `${type} null`);
      assertFalse(judge([filter], []), `${type} absent`);
      assertFalse(judge([{ column, op, value: null }], [[column, good]]), `${type} null literal`);
      if (type === "json") continue; // every value is of its type
      const others = TYPES.filter((other) => other !== type && other !== "json").map((other) =>
        (ORDERED[other] ?? UNORDERED[other])![0]
      ).filter((value) => typeof value !== typeof good || type === "timestamp");
      for (const claim of [...strange, ...others]) {
        const claims: Claims = claim === undefined ? {} : { c: claim };
        assertFalse(
          judge([{ column, op, value: "jwt:c" }], [[column, good]], claims),
          `${type} ${JSON.stringify(claim)}`,
        );
      }
    }
  });

  test(`${op} ${op === "eq" || op === "in" ? "finds a value in" : "matches nothing with"} a list`, () => {
    const row: [string, JsonValue][] = [["c_string", "b"]];
    const expected = op === "eq" || op === "in";
    for (const value of [["b"], ["a", "b"], ["b", null, 5, "b"]]) {
      const claims = { c: value };
      assertEquals(judge([{ column: "c_string", op, value: "jwt:c" }], row, claims), expected);
    }
    assertEquals(judge([{ column: "c_string", op, value: ["a", "b"] }], row), expected);
    assertFalse(judge([{ column: "c_string", op, value: ["a"] }], row));
    assertFalse(judge([{ column: "c_string", op, value: [] }], row));
  });
}

test("in takes a single value for a list of one", () => {
  assert(
    judge([{ column: "c_string", op: "in", value: "jwt:c" }], [["c_string", "b"]], { c: "b" }),
  );
});

test("nothing is coerced: a number's text is no number, one is not true", () => {
  assertFalse(
    judge([{ column: "c_integer", op: "eq", value: "jwt:c" }], [["c_integer", 5]], { c: "5" }),
  );
  assertFalse(
    judge([{ column: "c_string", op: "eq", value: "jwt:c" }], [["c_string", "5"]], { c: 5 }),
  );
  assertFalse(
    judge([{ column: "c_boolean", op: "eq", value: "jwt:c" }], [["c_boolean", true]], { c: 1 }),
  );
  assertFalse(judge([{ column: "c_timestamp", op: "lt", value: "jwt:c" }], [
    ["c_timestamp", "2024-01-01T00:00:00.000000Z"],
  ], { c: "2025-01-01T00:00:00Z" }));
});

test("a filter may name id, the row's key", () => {
  assert(judge([{ column: "id", op: "eq", value: "r1" }], []));
  assertFalse(judge([{ column: "id", op: "neq", value: "r1" }], []));
});

test("a join matches nothing until its values are put in", () => {
  const join = { column: "c_string", op: "in", table: "t", select: "c_string", where: [] } as const;
  const rules = resolveRules([{ name: "b", tables: ["t"], filters: [join] }], {
    claims: {},
    tables,
  });
  const row = { table: "t", rowId: "r", facts: [["c_string", "a"]] } as const;
  assertFalse(matchesRow(rules, row));
  assert(matchesRow(bindJoins(rules, () => ["a", "b"]), row));
  assertFalse(matchesRow(bindJoins(rules, () => ["b"]), row));
  assertFalse(matchesRow(bindJoins(rules, () => []), row));
});

test("explainRefusal() names the nearest bucket and its first column, never a value", () => {
  const buckets = [
    {
      name: "far",
      tables: ["t"],
      filters: [
        { column: "c_string", op: "eq", value: "x" },
        { column: "c_integer", op: "gt", value: 5 },
      ],
    },
    {
      name: "near",
      tables: ["t"],
      filters: [
        { column: "c_string", op: "eq", value: "secret" },
        { column: "c_integer", op: "lt", value: 5 },
      ],
    },
  ] as const;
  const rules = resolveRules(buckets, { claims: {}, tables });
  const row = (table: string, facts: [string, JsonValue][]) => ({ table, rowId: "r", facts });
  assertEquals(explainRefusal(rules, row("t", [["c_integer", 1]])), {
    bucket: "near",
    column: "c_string",
  });
  const strange = explainRefusal(rules, row("other", []));
  assertEquals(strange, { bucket: undefined, column: undefined });
  const good = explainRefusal(rules, row("t", [["c_string", "secret"], ["c_integer", 1]]));
  assertEquals(good, undefined);
});

// What follows judges by the words of PROTOCOL, section 5, and shares nothing with what it tests.

const LOOKS: { readonly [type in ColumnType]: (value: unknown) => boolean } = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) =>
    typeof value === "number"
      ? Number.isSafeInteger(value)
      : typeof value === "string" && /^-?[1-9]\d*$/.test(value) &&
        BigInt(value) === BigInt.asIntN(64, BigInt(value)) &&
        !Number.isSafeInteger(Number(value)),
  boolean: (value) => typeof value === "boolean",
  timestamp: (value) =>
    typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value),
  bytes: (value) =>
    typeof value === "string" && value.length % 4 === 0 && !/[^A-Za-z0-9+/=]/.test(value),
  json: () => true,
};

function order(type: ColumnType, a: JsonValue, b: JsonValue): number | undefined {
  const sign = (x: bigint | number, y: bigint | number) => x < y ? -1 : x > y ? 1 : 0;
  switch (type) {
    case "number":
      return sign(a as number, b as number);
    case "integer":
      return sign(BigInt(a as string), BigInt(b as string));
    case "timestamp": {
      const micros = (text: string) =>
        BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1000n + BigInt(text.slice(20, 26));
      return sign(micros(a as string), micros(b as string));
    }
    case "string": {
      const [x, y] = [[...a as string], [...b as string]].map((chars) =>
        chars.map((char) => char.codePointAt(0)!)
      );
      for (let i = 0; i < Math.min(x!.length, y!.length); i++) {
        if (x![i] !== y![i]) return x![i]! - y![i]!;
      }
      return x!.length - y!.length;
    }
    default:
      return undefined;
  }
}

function same(a: JsonValue, b: JsonValue): boolean {
  const text = (value: JsonValue): string =>
    JSON.stringify(
      value,
      (_, item) =>
        typeof item === "object" && item !== null && !Array.isArray(item)
          ? Object.fromEntries(Object.entries(item).sort())
          : item,
    );
  return text(a) === text(b);
}

function oracle(
  filters: readonly RuleFilter[],
  facts: ReadonlyMap<string, JsonValue>,
  claims: ReadonlyMap<string, JsonValue>,
): boolean {
  return filters.every(({ column, op, value }) => {
    const type = column.slice(2) as ColumnType;
    const left = facts.get(column);
    const right = typeof value === "string" && value.startsWith("jwt:")
      ? claims.get(value.slice(4))
      : value;
    if (left === undefined || left === null || right === undefined || right === null) return false;
    if (Array.isArray(right)) {
      return (op === "in" || op === "eq") &&
        right.some((item) => item !== null && LOOKS[type](item) && same(left, item));
    }
    if (!LOOKS[type](right)) return false;
    if (op === "eq" || op === "in") return same(left, right);
    if (op === "neq") return !same(left, right);
    const by = order(type, left, right);
    if (by === undefined) return false;
    return { gt: by > 0, gte: by >= 0, lt: by < 0, lte: by <= 0 }[op];
  });
}

const POOL: { readonly [type in ColumnType]: readonly JsonValue[] } = {
  string: ["", "a", "b", "B", "\u{FF5E}", "\u{1F600}", "5", "true"],
  number: [0, -1, 5, 5.5, 1e300, -1e-9],
  integer: [0, 5, -5, 10, "9007199254740993", "-9223372036854775808", "9223372036854775807"],
  boolean: [true, false],
  timestamp: [
    "2025-01-01T00:00:00.000000Z",
    "2025-01-01T00:00:00.000001Z",
    "2024-02-29T23:59:59.999999Z",
  ],
  bytes: ["", "AQ==", "AQI=", "AQID"],
  json: [5, "a", true, {}, { a: 1, b: 2 }, { b: 2, a: 1 }, [], [1], [{ a: null }]],
};
const anyValue = fc.constantFrom<JsonValue>(null, ...Object.values(POOL).flat());
const anyOperand = fc.oneof(anyValue, fc.array(anyValue, { maxLength: 4 }));

test("matchesRow() agrees with an oracle of its own on random rows, filters and claims", () => {
  const filter = fc.constantFrom(...TYPES).chain((type) =>
    fc.record({
      column: fc.constant(`c_${type}`),
      op: fc.constantFrom(...OPS),
      value: fc.oneof(
        fc.constantFrom<JsonValue>(...POOL[type].filter((value) => !Array.isArray(value))),
        fc.array(fc.constantFrom(...POOL[type]), { maxLength: 4 }),
        fc.constantFrom("jwt:a", "jwt:b", "jwt:__proto__", "jwt:none"),
      ),
    })
  );
  const facts = fc.record(
    Object.fromEntries(
      TYPES.map((type) => [`c_${type}`, fc.constantFrom<JsonValue>(null, ...POOL[type])]),
    ),
    { requiredKeys: [] },
  );
  let matched = 0;
  fc.assert(
    fc.property(
      fc.array(filter, { maxLength: 2 }),
      facts,
      fc.tuple(anyOperand, anyOperand, anyOperand),
      (filters, row, [a, b, proto]) => {
        const claims = new Map<string, JsonValue>([["a", a], ["b", b], ["__proto__", proto]]);
        const given = Object.entries(row) as [string, JsonValue][];
        const verdict = judge(filters, given, Object.fromEntries(claims));
        if (verdict && filters.length > 0) matched++;
        assertEquals(verdict, oracle(filters, new Map(given), claims));
      },
    ),
    { seed: 42, numRuns: 20_000 },
  );
  assert(matched > 500, `${matched} of the random cases matched`);
});
