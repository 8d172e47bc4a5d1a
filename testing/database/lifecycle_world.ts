// Two databases of a lifecycle, what was written to them, and processes that die.
import { type SqlAdapter, sqlAdapter, sqlPruning } from "@lakesync/adapter-database";
import { type LifecycleDatabase, lifecycleDatabase } from "@lakesync/adapter-routing";
import {
  type DatabaseAdapter,
  type Delta,
  deltaId,
  emptyRow,
  err,
  LakeSyncError,
  mergeDelta,
  packHlc,
  type Prunable,
  type RowState,
  type SqlServer,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { memoryLogStore } from "@lakesync/gateway";
import { assert } from "@std/assert";
import { ManualClock } from "../clock.ts";
import { batchOf, deltaOf, TODOS } from "./fixture.ts";

/** A day in ms. */
export const DAY = 86_400_000;
const OTHER: TableSchema = { ...TODOS, table: "__proto__" };
/** The tables. */
export const TABLES: readonly TableSchema[] = [TODOS, OTHER];

/** Fails from the nth call of it on: what a process that dies does not do. */
export function dying<T extends object>(parts: readonly T[], nth: number): T[] {
  let calls = 0;
  return parts.map((part) =>
    new Proxy(part, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          if (++calls >= nth) {
            return Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "The process ended")));
          }
          return Reflect.apply(value, target, given);
        };
      },
    })
  );
}

/** Two databases, what was written, and who reads. */
export class World {
  readonly clock: ManualClock = new ManualClock();
  readonly store: ReturnType<typeof memoryLogStore> = memoryLogStore();
  readonly hot: SqlAdapter;
  readonly pruning: Prunable;
  readonly cold: DatabaseAdapter;
  readonly written: Delta[] = [];
  #mark: Watermark | undefined;
  #made = 0;

  constructor(hot: SqlServer, cold: SqlServer | DatabaseAdapter) {
    this.hot = sqlAdapter({ server: hot, name: "hot" });
    this.pruning = sqlPruning(hot);
    this.cold = "dialect" in cold ? sqlAdapter({ server: cold, name: "cold" }) : cold;
  }

  open(nth: number = Infinity): LifecycleDatabase {
    const { clock, store } = this;
    const parts = dying<object>([this.hot, this.pruning, this.cold, store], nth);
    return lifecycleDatabase({
      name: "db",
      hot: parts[0] as DatabaseAdapter,
      pruning: parts[1] as Prunable,
      cold: parts[2] as DatabaseAdapter,
      store: parts[3] as typeof store,
      maxAgeMs: DAY,
      clock,
    });
  }

  /** A delta that was made so many days ago. */
  delta(table: string, rowId: string, days: number, op: Delta["op"] = "INSERT"): Delta {
    const columns = op === "DELETE" ? {} : { title: `${table} ${this.#made}` };
    const wallMs = this.clock.now() - Math.floor(days * DAY);
    const { deltaId: _, ...made } = deltaOf({ op, table, rowId, hlc: 1, columns });
    const content = { ...made, hlc: packHlc({ wallMs, counter: this.#made++ }) };
    return { ...content, deltaId: deltaId(content) };
  }

  async write(...deltas: Delta[]): Promise<void> {
    const seq = this.#mark?.seq;
    const batch = batchOf({ deltas, from: seq, tables: TABLES });
    const tables = new Map<string, { schema: TableSchema; from: Watermark | undefined }>();
    const marks = unwrapOrThrow(await this.hot.watermarks(TABLES.map(({ table }) => table)));
    for (const schema of TABLES) {
      tables.set(schema.table, { schema, from: marks.get(schema.table) });
    }
    const outcomes = unwrapOrThrow(await this.open().insertDeltas({ ...batch, tables }));
    for (const { status } of outcomes.values()) assert(status !== "failed" && status !== "moved");
    this.#mark = batch.to;
    this.written.push(...deltas);
  }

  /** What all that was written merges to. */
  rows(): Map<string, RowState> {
    const rows = new Map<string, RowState>();
    for (const delta of this.written) {
      const key = `${delta.table}/${delta.rowId}`;
      if (!rows.has(key)) rows.set(key, emptyRow());
      mergeDelta(rows.get(key)!, delta);
    }
    return rows;
  }

  /** The same as texts. */
  states(): string[] {
    return Array.from(this.rows(), ([key, state]) => stateText(key, state)).toSorted();
  }
}

/** A row as a text. */
export function stateText(key: string, { life, columns }: RowState): string {
  return JSON.stringify([key, life ?? null, [...columns].toSorted()]);
}
