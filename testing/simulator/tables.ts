import {
  defineTable,
  integer,
  json,
  number,
  string,
  type Table,
  type TableSchema,
} from "@lakesync/core";

/** A version of the app: the second one has a nullable column more in each table. */
export type AppVersion = 1 | 2;

/** What rules go by; nobody writes it where there are none. */
const judged = { team: string().nullable(), level: integer().nullable() };
const items = { n: integer(), amount: number().nullable(), text: string().nullable(), ...judged };
const notes = { body: string(), extra: json().nullable(), ...judged };

/** The columns that rules go by. */
export const JUDGED: ReadonlySet<string> = new Set(Object.keys(judged));

const TABLES: Readonly<Record<AppVersion, readonly Table[]>> = {
  1: [defineTable("items", items), defineTable("notes", notes)],
  2: [
    defineTable("items", { ...items, added: integer().nullable() }, { version: 2 }),
    defineTable("notes", {
      body: string().nullable(),
      extra: json().nullable(),
      ...judged,
      added: string().nullable(),
    }, {
      version: 2,
    }),
  ],
};

/** The tables of an app's version. */
export function tablesOf(version: AppVersion): readonly Table[] {
  return TABLES[version];
}

/** Their schemas. */
export function schemasOf(version: AppVersion): readonly TableSchema[] {
  return TABLES[version].map(({ schema }) => schema);
}

/** A value for a column that was never written before, so that each write can be told apart. */
export function freshValue(type: string, count: number): unknown {
  switch (type) {
    case "integer":
      return count;
    case "number":
      return count + 0.5;
    case "string":
      return `v${count}`;
    default:
      return { v: count };
  }
}

/** A wire value as SQLite shows it. */
export function shownValue(value: unknown): unknown {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value ?? null;
}
