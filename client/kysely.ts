/**
 * Typed queries over a client's tables, by [Kysely](https://kysely.dev). It only writes the SQL: queries
 * go to `client.query()` and `client.live()`, writes through `client.tables`.
 *
 * @module
 */
import type { Column, RowOf, Table } from "@lakesync/core";
import {
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";

/**
 * What SQL gives for a column: 0 and 1 for booleans, text for `json` and `timestamp`, and integers of
 * 64 bits as `bigint` where a number does not hold them.
 *
 * @typeParam C The declared column.
 */
export type SqlTypeOf<C> = C extends Column<infer Read, unknown, infer Nullable> ?
    | (Read extends boolean ? 0 | 1
      : Read extends bigint ? number | bigint
      : Read extends string | number | Uint8Array ? Read
      : string)
    | (Nullable extends true ? null : never)
  : never;

/**
 * The tables as SQL sees them, by name.
 *
 * @typeParam Tables The declared tables.
 */
export type SqlTables<Tables extends readonly Table[]> = {
  readonly [T in Tables[number] as T["name"]]:
    & { readonly id: RowOf<T>["id"] }
    & { readonly [K in keyof T["columns"]]: SqlTypeOf<T["columns"][K]> };
};

/**
 * What makes queries: the parts of Kysely that read.
 *
 * @typeParam Tables The declared tables.
 */
export type QueryBuilder<Tables extends readonly Table[]> = Pick<
  Kysely<SqlTables<Tables>>,
  "selectFrom" | "selectNoFrom" | "with" | "withRecursive" | "fn" | "case" | "dynamic"
>;

/**
 * Makes a builder of typed queries. It holds no client and no connection: one for the whole app will do.
 *
 * @param tables The declared tables, as `createClient` takes them.
 * @returns The builder. Its queries are given to `client.query()`, `client.live()` or `tx.query()`;
 * `execute()` on them throws.
 *
 * @example Typed rows
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { queryBuilder } from "@lakesync/client/kysely";
 * import { boolean, defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const todos = defineTable("todos", { title: string(), done: boolean() });
 * const client = unwrapOrThrow(await createClient({ tables: [todos], database: ":memory:" }));
 * await client.tables.todos.insert({ id: "1", title: "Buy milk", done: false });
 *
 * const db = queryBuilder([todos]);
 * const open = db.selectFrom("todos").select(["id", "title"]).where("done", "=", 0);
 * const rows: { id: string; title: string }[] = unwrapOrThrow(await client.query(open));
 * assertEquals(rows[0]?.title, "Buy milk");
 * await client.close();
 * ```
 */
export function queryBuilder<const Tables extends readonly Table[]>(
  tables: Tables,
): QueryBuilder<Tables> {
  // Only the types of the tables are used.
  void tables;
  return new Kysely<SqlTables<Tables>>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new CompileOnly(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

class CompileOnly extends DummyDriver {
  override acquireConnection(): ReturnType<DummyDriver["acquireConnection"]> {
    return Promise.reject(
      new TypeError("Cannot execute a query here: give it to client.query() or client.live()"),
    );
  }
}
