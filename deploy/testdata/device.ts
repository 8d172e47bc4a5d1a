import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Client, createClient, httpTransport } from "@lakesync/client";
import {
  type AppValue,
  type ColumnSchema,
  type Delta,
  fromWire,
  type JsonValue,
  type SqlRow,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, Prng } from "@lakesync/testing";
import { copyFiles } from "./machine.ts";
import { turns } from "./network.ts";
import { schemasOf, tablesOf, valuesFor } from "./tables.ts";

/** A change that a device tries to make; what it comes to depends on the rows that it has. */
export interface Write {
  readonly table: "items" | "notes";
  readonly id: string;
  /** 0 to 9: below 3 deletes a row that is there; else changes it. */
  readonly how: number;
  readonly seed: number;
}

/** The tables of either version look alike from here. */
interface AnyTable {
  insert(row: Record<string, AppValue>): Promise<unknown>;
  update(id: string, changes: Record<string, AppValue>): Promise<unknown>;
  delete(id: string): Promise<boolean>;
  get(id: string): Promise<Record<string, unknown> | undefined>;
}

/** A device: its clock, its files, and the client that runs on them. */
export class Device {
  readonly #directory: string;
  readonly #index: number;
  readonly #send: (request: Request) => Promise<Response>;
  readonly clock: ManualClock = new ManualClock();
  #client: Client | undefined;
  #version: 1 | 2 = 1;
  #files = 0;
  #starts = 0;
  /** How many deltas it has made. */
  made = 0;

  constructor(
    options: {
      directory: string;
      index: number;
      offsetMs: number;
      send: (request: Request) => Promise<Response>;
    },
  ) {
    this.#directory = options.directory;
    this.#index = options.index;
    this.#send = options.send;
    this.clock.set(this.clock.now() + options.offsetMs);
  }

  /** Two devices of one user and one of another. */
  get clientId(): string {
    return ["alice:phone", "alice:laptop", "bob"][this.#index]!;
  }

  get client(): Client {
    return this.#client!;
  }

  get version(): 1 | 2 {
    return this.#version;
  }

  get schemas(): readonly TableSchema[] {
    return schemasOf(this.#version);
  }

  get #path(): string {
    return join(this.#directory, `device${this.#index}-${this.#files}`);
  }

  async start(version: 1 | 2 = this.#version): Promise<void> {
    this.#version = version;
    mkdirSync(this.#path, { recursive: true });
    const start = ++this.#starts;
    const transport = httpTransport({
      url: "http://gateway",
      gateway: "main",
      scheduler: this.clock,
      fetch: (request) => {
        // A process that is gone sends nothing.
        if (start !== this.#starts) return Promise.reject(new TypeError("killed"));
        return this.#send(request);
      },
    });
    this.#client = unwrapOrThrow(
      await createClient({
        tables: tablesOf(version),
        database: join(this.#path, "app.db"),
        transport,
        clientId: this.clientId,
        sync: { auto: false },
        clock: this.clock,
        scheduler: this.clock,
        random: new Prng(100 * this.#index + start),
      }),
    );
  }

  async restart(version: 1 | 2 = this.#version): Promise<void> {
    await this.client.close();
    await this.start(version);
  }

  /** Dies so many turns after a sync began, and starts again from what is on its disk then. */
  async killDuringSync(count: number): Promise<void> {
    const old = this.client;
    const syncing = old.syncOnce();
    await turns(count);
    const from = this.#path;
    this.#files++;
    copyFiles(from, this.#path);
    this.#starts++;
    await old.close();
    await syncing;
    await this.start();
  }

  /** Makes changes in one transaction. */
  async write(writes: readonly Write[]): Promise<void> {
    const made = unwrapOrThrow(
      await this.client.transaction(async ({ tables }) => {
        let deltas = 0;
        for (const write of writes) {
          const table = (tables as unknown as Record<string, AnyTable>)[write.table]!;
          deltas += await this.#change(table, write);
        }
        return deltas;
      }),
    );
    this.made += made;
  }

  /** Makes a change; how many deltas that makes. */
  async #change(table: AnyTable, { table: name, id, how, seed }: Write): Promise<number> {
    const schema = this.schemas.find((schema) => schema.table === name)!;
    const prng = new Prng(seed);
    const before = await table.get(id);
    if (before === undefined) {
      await table.insert({ id, ...appValues(schema, valuesFor(schema, { op: "insert", prng })) });
      return 1;
    }
    if (how < 3) return await table.delete(id) ? 1 : 0;
    await table.update(id, appValues(schema, valuesFor(schema, { op: "update", prng })));
    return shown(before) === shown(await table.get(id)) ? 0 : 1;
  }

  /** The tables as they are in its SQLite: with the columns that the app does not know and it has learned. */
  async shownSchemas(): Promise<TableSchema[]> {
    const [state] = unwrapOrThrow(await this.client.query("SELECT learned FROM lakesync_state"));
    const { columns } = JSON.parse(state!.learned as string) as {
      columns: [table: string, columns: ColumnSchema[]][];
    };
    const learned = new Map(columns);
    return this.schemas.map((schema) => ({
      ...schema,
      columns: [...schema.columns, ...learned.get(schema.table) ?? []],
    }));
  }

  /** A table's rows as SQL shows them. */
  async rows(table: string): Promise<SqlRow[]> {
    return unwrapOrThrow(await this.client.query(`SELECT * FROM ${table} ORDER BY id`));
  }

  /**
   * Where its base stands, and its own deltas that are not in that; undefined while it is between a
   * change of its tables and the checkpoint for it.
   */
  async standing(): Promise<{ seq: number; own: readonly Delta[] } | undefined> {
    const [state] = unwrapOrThrow(
      await this.client.query("SELECT seq, due FROM lakesync_state"),
    );
    if (state?.due !== 0) return undefined;
    const own = unwrapOrThrow(
      await this.client.query(
        "SELECT json FROM lakesync_own WHERE state < 4 OR seq > ? ORDER BY ord",
        [state.seq!],
      ),
    );
    return {
      seq: state.seq as number,
      own: own.map(({ json }) => JSON.parse(json as string) as Delta),
    };
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }
}

/** Wire values as an app writes them. */
function appValues(
  schema: TableSchema,
  values: ReadonlyMap<string, JsonValue>,
): Record<string, AppValue> {
  const columns = new Map(schema.columns.map((column) => [column.name, column]));
  return Object.fromEntries(
    [...values].map(([name, value]) => [name, fromWire(columns.get(name)!, value)]),
  );
}

function shown(row: unknown): string {
  return JSON.stringify(
    row,
    (_, value: unknown) => typeof value === "bigint" ? `${value}n` : value,
  );
}
