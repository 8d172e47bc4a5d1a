import {
  bigint,
  boolean,
  bytes,
  type ColumnSchema,
  defineTable,
  integer,
  json,
  type JsonValue,
  number,
  string,
  type Table,
  type TableSchema,
  timestamp,
} from "@lakesync/core";
import type { Prng } from "@lakesync/testing";

const items = {
  tag: integer(),
  text: string().nullable(),
  amount: number().nullable(),
  done: boolean().nullable(),
  at: timestamp().nullable(),
  data: bytes().nullable(),
};
const notes = {
  body: string(),
  count: bigint().nullable(),
  extra: json().nullable(),
};

// The app's first version.
const FIRST: readonly Table[] = [defineTable("items", items), defineTable("notes", notes)];

// Its next one: a nullable column more in each table, and one that may now be null.
const SECOND: readonly Table[] = [
  defineTable("items", { ...items, added: json().nullable() }, { version: 2 }),
  defineTable("notes", { ...notes, body: string().nullable(), added: bytes().nullable() }, {
    version: 2,
  }),
];

/** The tables of an app's version. */
export function tablesOf(version: 1 | 2): readonly Table[] {
  return version === 1 ? FIRST : SECOND;
}

/** Their schemas. */
export function schemasOf(version: 1 | 2): readonly TableSchema[] {
  return tablesOf(version).map(({ schema }) => schema);
}

/** Wire values; null stands for "null where that may be". */
const VALUES: Readonly<Record<string, readonly JsonValue[]>> = {
  string: ["", "a", "a!", "é", "\u{ff5e}", "\u{1f600}", "it's, so"],
  number: [0, -1.5, 9, 10, 1e21, 5e-324],
  integer: [0, 9, 10, -1, "9007199254740993", "-9223372036854775808"],
  boolean: [true, false],
  timestamp: ["2026-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z"],
  bytes: ["", "AA==", "+/8=", "////"],
  json: [{ a: [1, null], "": "\u{1f600}" }, [], "x", 1.5, true],
};

/** A wire value for a column. */
export function valueFor(column: ColumnSchema, prng: Prng): JsonValue {
  if (column.nullable === true && prng.chance(0.15)) return null;
  // Numbers that hardly ever come again, so that a lost change shows.
  if (column.type === "integer" && prng.chance(0.6)) return prng.int(0, 1_000_000);
  return prng.pick(VALUES[column.type]!);
}

/** Wire values for an INSERT, or for an UPDATE of some columns. */
export function valuesFor(
  schema: TableSchema,
  options: { op: "insert" | "update"; prng: Prng },
): Map<string, JsonValue> {
  const { op, prng } = options;
  const chance = op === "insert" ? 0.6 : 0.3;
  const chosen = schema.columns.filter((column) =>
    (op === "insert" && column.nullable !== true) || prng.chance(chance)
  );
  return new Map(chosen.map((column) => [column.name, valueFor(column, prng)]));
}
