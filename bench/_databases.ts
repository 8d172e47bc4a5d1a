import { type SqlAdapter, sqlAdapter } from "@lakesync/adapter-database";
import {
  type Delta,
  type FlushBatch,
  type FlushEntry,
  type Result,
  type SqlColumnType,
  type SqlParameter,
  type SqlServer,
  unwrapOrThrow,
} from "@lakesync/core";
import { todos } from "./_workload.ts";

/** How many rows a round of statements writes, on both lanes. */
const ROUND = 10_000;

type ColumnNames = readonly (readonly [name: string, type: SqlColumnType])[];

/** Tables of the same form as the adapter's and the materialised one, with nothing around them. */
const BARE: { readonly [table: string]: ColumnNames } = {
  bare_deltas: [
    ["pos", "integer"],
    ["table_name", "name"],
    ["seq", "integer"],
    ["at", "integer"],
    ["row_id", "key"],
    ["delta", "text"],
  ],
  bare_rows: [["row_id", "key"], ["state", "text"]],
  bare_todos: [
    ["id", "id"],
    ["title", "string"],
    ["done", "boolean"],
    ["n", "integer"],
    ["props", "text"],
    ["synced_at", "timestamp"],
  ],
};

/** A database with an adapter over it, and bare tables beside. */
export class DatabaseLane {
  readonly #server: SqlServer;
  readonly #adapter: SqlAdapter;
  #seq = 0;
  #bare = 0;

  private constructor(server: SqlServer, adapter: SqlAdapter) {
    this.#server = server;
    this.#adapter = adapter;
  }

  /** Opens both, and makes the tables. */
  static async open(connect: () => Promise<Result<SqlServer>>): Promise<DatabaseLane> {
    const server = unwrapOrThrow(await connect());
    const adapter = sqlAdapter({ server: unwrapOrThrow(await connect()), name: "db" });
    unwrapOrThrow(await adapter.ensureSchema([todos.schema]));
    unwrapOrThrow(
      await server.transaction(async (work) => {
        const { quote, column } = server.dialect;
        for (const [table, columns] of Object.entries(BARE)) {
          const defined = columns.map(([name, type]) => `${quote(name)} ${column(type).sql}`);
          const text = `CREATE TABLE ${table} (${defined}, PRIMARY KEY (${quote(columns[0]![0])}))`;
          await work.run({ text, parameters: [] });
        }
      }),
    );
    return new DatabaseLane(server, adapter);
  }

  /** Inserts deltas by the adapter, as one batch. */
  async insert(deltas: readonly Delta[]): Promise<void> {
    const from = this.#seq === 0 ? undefined : { epoch: "e", seq: this.#seq };
    const first = this.#seq;
    async function* entries(): AsyncGenerator<readonly FlushEntry[]> {
      for (let i = 0; i < deltas.length; i += 2_000) {
        yield await Promise.resolve(
          deltas.slice(i, i + 2_000).map((delta, j) => ({ seq: first + i + j + 1, at: 1, delta })),
        );
      }
    }
    this.#seq += deltas.length;
    const batch: FlushBatch = {
      id: String(first),
      to: { epoch: "e", seq: this.#seq },
      tables: new Map([["todos", { schema: todos.schema, from }]]),
      entries: entries(),
    };
    const outcome = unwrapOrThrow(await this.#adapter.insertDeltas(batch)).get("todos");
    if (outcome?.status !== "committed") throw new Error(`The insert is ${outcome?.status}`);
  }

  /** Materialises them. */
  async materialise(): Promise<void> {
    unwrapOrThrow(await this.#adapter.materialise(todos.schema));
  }

  /** Writes the same bytes into the bare tables: deltas and states, in one commit. */
  async bareInsert(deltas: readonly Delta[]): Promise<void> {
    const first = this.#bare;
    this.#bare += deltas.length;
    await this.#write(deltas, {
      bare_deltas: (delta, i) => [
        first + i,
        "todos",
        first + i,
        1,
        delta.rowId,
        JSON.stringify(delta),
      ],
      // About what a state has.
      bare_rows: (delta) => [delta.rowId, JSON.stringify(delta.columns)],
    });
  }

  /** Writes the rows into a bare table. */
  async bareMaterialise(deltas: readonly Delta[]): Promise<void> {
    const types = BARE["bare_todos"]!.map(([, type]) => this.#server.dialect.column(type));
    const at = types[5]!.encode("2026-01-01T00:00:00.000000Z")!;
    await this.#write(deltas, {
      bare_todos: ({ rowId, columns }) => [
        rowId,
        ...columns.map(({ value }, i) => types[i + 1]!.encode(value)!),
        null,
        at,
      ],
    });
  }

  /** Closes both. */
  async close(): Promise<void> {
    await this.#adapter.close();
    await this.#server.close();
  }

  async #write(
    deltas: readonly Delta[],
    rowsOf: { readonly [table: string]: (delta: Delta, i: number) => SqlParameter[] },
  ): Promise<void> {
    const { dialect } = this.#server;
    unwrapOrThrow(
      await this.#server.transaction(async (work) => {
        for (let i = 0; i < deltas.length; i += ROUND) {
          const part = deltas.slice(i, i + ROUND);
          for (const [table, rowOf] of Object.entries(rowsOf)) {
            const columns = BARE[table]!.map(([name, type]) => ({ name, type }));
            const rows = part.map((delta, j) => rowOf(delta, i + j));
            for (const statement of dialect.write({ table, columns, rows })) {
              await work.run(statement);
            }
          }
        }
      }),
    );
  }
}
