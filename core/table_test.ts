import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@lakesync/testing";
import type { JsonValue } from "./json.ts";
import {
  bigint,
  boolean,
  bytes,
  defineTable,
  type InsertOf,
  integer,
  json,
  number,
  type RowOf,
  string,
  timestamp,
  type UpdateOf,
} from "./table.ts";

const things = defineTable("things", {
  text: string(),
  price: number(),
  count: integer(),
  big: bigint(),
  done: boolean(),
  due: timestamp(),
  thumb: bytes(),
  tags: json<string[]>(),
  any: json(),
  note: string().nullable(),
  when: timestamp().nullable(),
  total: bigint().nullable(),
}, { version: 7 });

/** Whether two types are the same: each as a constraint is told apart from all others. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
/** An intersection of objects as one object whose properties can be written. */
type Flat<T> = { -readonly [K in keyof T]: T[K] };

/** Compiles only where its type argument is `true`. */
function proves<T extends true>(): T | undefined {
  return undefined;
}

const whole: InsertOf<typeof things> = {
  text: "a",
  price: 1.5,
  count: 1,
  big: 1n,
  done: true,
  due: new Date(0),
  thumb: new Uint8Array(1),
  tags: ["a"],
  any: { a: null },
};

test("defineTable() makes the wire schema in the order of declaration", () => {
  assertEquals(things.name, "things");
  assertEquals(things.schema, {
    table: "things",
    version: 7,
    columns: [
      { name: "text", type: "string" },
      { name: "price", type: "number" },
      { name: "count", type: "integer" },
      { name: "big", type: "integer" },
      { name: "done", type: "boolean" },
      { name: "due", type: "timestamp" },
      { name: "thumb", type: "bytes" },
      { name: "tags", type: "json" },
      { name: "any", type: "json" },
      { name: "note", type: "string", nullable: true },
      { name: "when", type: "timestamp", nullable: true },
      { name: "total", type: "integer", nullable: true },
    ],
  });
});

test("defineTable() gives version 1 unless told otherwise", () => {
  assertEquals(defineTable("t", {}).schema, { table: "t", version: 1, columns: [] });
});

test("a column knows whether it is nullable and whether it is read as bigint", () => {
  const seen = Object.values(things.columns).map(({ type, isNullable, bigint }) => [
    type,
    isNullable,
    bigint,
  ]);
  assertEquals(seen.slice(2, 4), [["integer", false, false], ["integer", false, true]]);
  assertEquals(seen.at(-1), ["integer", true, true]);
  const once = string().nullable();
  assertEquals([once.nullable().isNullable, once.nullable().type], [true, "string"]);
});

test("nullable() leaves the column it is called on as it is", () => {
  const column = string();
  column.nullable();
  assertEquals(column.isNullable, false);
});

test("defineTable() throws TypeError that names the fault", () => {
  const cases: readonly (readonly [() => unknown, string])[] = [
    [() => defineTable("to-dos", {}), 'defineTable("to-dos").table is not an identifier'],
    [() => defineTable("ID", {}), 'defineTable("ID").table'],
    [() => defineTable("t", { id: string() }), 'defineTable("t").columns[0].name'],
    [() => defineTable("t", { "a b": string() }), 'defineTable("t").columns[0].name'],
    [() => defineTable("t", { a: string(), A: string() }), 'defineTable("t").columns[1].name'],
    [() => defineTable("t", {}, { version: 0 }), 'defineTable("t").version'],
    [() => defineTable("t", {}, { version: 1.5 }), 'defineTable("t").version'],
  ];
  for (const [define, message] of cases) assertThrows(define, TypeError, message);
});

test("defineTable() takes names like those of inherited properties", () => {
  const odd = defineTable("__proto__", { ["__proto__"]: string(), constructor: json() });
  assertEquals(odd.schema.columns.map(({ name }) => name), ["__proto__", "constructor"]);
});

test("RowOf is exactly what an app reads", () => {
  proves<
    Same<Flat<RowOf<typeof things>>, {
      id: string;
      text: string;
      price: number;
      count: number;
      big: bigint;
      done: boolean;
      due: string;
      thumb: Uint8Array;
      tags: string[];
      any: JsonValue;
      note: string | null;
      when: string | null;
      total: bigint | null;
    }>
  >();
  const row: RowOf<typeof things> = {
    ...whole,
    id: "1",
    count: 1,
    big: 1n,
    due: "1970-01-01T00:00:00.000000Z",
    note: null,
    when: null,
    total: null,
  };
  // @ts-expect-error: not a column
  row.missing;
  // @ts-expect-error: may be null
  row.note?.length satisfies number;
  // @ts-expect-error: a nullable column is there all the same
  const short: RowOf<typeof things> = { ...whole, id: "1", due: "" };
  assertEquals([row.id, short.id], ["1", "1"]);
});

test("InsertOf is exactly what an insert takes", () => {
  proves<
    Same<Flat<InsertOf<typeof things>>, {
      id?: string;
      text: string;
      price: number;
      count: number | bigint;
      big: number | bigint;
      done: boolean;
      due: string | Date;
      thumb: Uint8Array;
      tags: string[];
      any: JsonValue;
      note?: string | null;
      when?: string | Date | null;
      total?: number | bigint | null;
    }>
  >();
  const { text, ...rest } = whole;
  const good: InsertOf<typeof things>[] = [
    whole,
    { ...whole, id: "1", note: null, when: new Date(0), total: 1 },
  ];
  const bad: InsertOf<typeof things>[] = [
    // @ts-expect-error: a NOT NULL column is missing
    rest,
    // @ts-expect-error: a column that there isn't
    { ...whole, missing: 1 },
    // @ts-expect-error: null for NOT NULL
    { ...whole, text: null },
    // @ts-expect-error: undefined is no value
    { ...whole, note: undefined },
    // @ts-expect-error: a number for text
    { ...whole, text: 1 },
    // @ts-expect-error: a text for a number
    { ...whole, price: "1" },
    // @ts-expect-error: a bigint for a number
    { ...whole, price: 1n },
    // @ts-expect-error: a text for an integer
    { ...whole, count: "1" },
    // @ts-expect-error: a number for a boolean
    { ...whole, done: 1 },
    // @ts-expect-error: milliseconds for a time
    { ...whole, due: 0 },
    // @ts-expect-error: a text for bytes
    { ...whole, thumb: "AA==" },
    // @ts-expect-error: another shape of JSON
    { ...whole, tags: [1] },
    // @ts-expect-error: what JSON has no form for
    { ...whole, any: new Map() },
    // @ts-expect-error: a number for the row's key
    { ...whole, id: 1 },
  ];
  assertEquals([text, good.length, bad.length], ["a", 2, 14]);
});

test("UpdateOf is exactly what an update takes", () => {
  proves<
    Same<UpdateOf<typeof things>, {
      text?: string;
      price?: number;
      count?: number | bigint;
      big?: number | bigint;
      done?: boolean;
      due?: string | Date;
      thumb?: Uint8Array;
      tags?: string[];
      any?: JsonValue;
      note?: string | null;
      when?: string | Date | null;
      total?: number | bigint | null;
    }>
  >();
  const patch: UpdateOf<typeof things> = {};
  patch.note = null; // A patch can be built step by step.
  const bad: UpdateOf<typeof things>[] = [
    // @ts-expect-error: a row keeps its key
    { id: "1" },
    // @ts-expect-error: a column that there isn't
    { missing: 1 },
    // @ts-expect-error: null for NOT NULL
    { text: null },
    // @ts-expect-error: undefined is no value
    { text: undefined },
    // @ts-expect-error: a number for text
    { note: 1 },
  ];
  assertEquals([patch, bad.length], [{ note: null }, 5]);
});

test("json() takes only shapes that are JSON", () => {
  // @ts-expect-error: a Date is no JSON
  const column = json<{ at: Date }>();
  assertEquals(column.type, "json");
});

test("a table knows its name and columns as literals", () => {
  proves<Same<typeof things.name, "things">>();
  proves<Same<"text" extends keyof typeof things.columns ? true : false, true>>();
  // @ts-expect-error: not a column
  assertEquals(things.columns.missing, undefined);
});
