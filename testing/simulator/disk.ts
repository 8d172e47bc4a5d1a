import { openSqlite } from "@lakesync/client";
import {
  LakeSyncError,
  type Result,
  type SqlDatabase,
  type SqlTransaction,
  unwrapOrThrow,
} from "@lakesync/core";
import type { SimProcess } from "./process.ts";

/** What a {@linkcode DeviceDisk} works with. */
export interface DeviceDiskOptions {
  /** About how long a statement that goes to the disk takes, in ms. */
  readonly latencyMs: number;
  /** Called with each commit that wrote something, before anybody hears of it. */
  readonly committed: () => Promise<void>;
  /** Called where a kill hits an open transaction. */
  readonly torn: () => void;
}

/** A device's disk: a real SQLite database, of which a killed process leaves what it committed. */
export class DeviceDisk {
  readonly #database: SqlDatabase;
  readonly #options: DeviceDiskOptions;
  #changes = 0;

  private constructor(database: SqlDatabase, options: DeviceDiskOptions) {
    this.#database = database;
    this.#options = options;
  }

  static async make(options: DeviceDiskOptions): Promise<DeviceDisk> {
    return new DeviceDisk(unwrapOrThrow(await openSqlite({ path: ":memory:" })), options);
  }

  /** The database as somebody sees it for whom no time passes: for checks. */
  peek(): SqlDatabase {
    return this.#database;
  }

  /** The database as a process sees it. */
  open(process: SimProcess): SqlDatabase {
    const { latencyMs } = this.#options;
    const database = this.#database;
    let turn: Promise<void> = Promise.resolve();
    // What is asked for first is done first, as in the database itself.
    const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
      const before = turn;
      const { promise, resolve } = Promise.withResolvers<void>();
      turn = promise;
      await before;
      try {
        return await work();
      } finally {
        resolve();
      }
    };
    return {
      transaction: (body) =>
        inTurn(async () => {
          await process.take(latencyMs);
          const result = await this.#transaction(process, body);
          await process.take(latencyMs);
          return result;
        }),
      query: (sql, params) =>
        inTurn(async () => {
          await process.take(latencyMs);
          return await database.query(sql, params);
        }),
      tablesOf: (sql) => inTurn(() => database.tablesOf(sql)),
      // The process ends; its disk stays.
      close: () => Promise.resolve(),
    };
  }

  async #transaction<T>(
    process: SimProcess,
    body: (tx: SqlTransaction) => Promise<T>,
  ): Promise<Result<T>> {
    const killed = Promise.withResolvers<never>();
    killed.promise.catch(() => {});
    const forget = process.onKill(() => {
      this.#options.torn();
      killed.reject(new LakeSyncError("ABORTED", "killed"));
    });
    let changes = this.#changes;
    const result = await this.#database.transaction(async (tx) => {
      const value = await Promise.race([body(this.#slowly(tx, process)), killed.promise]);
      changes = (await tx.all("SELECT total_changes() AS n"))[0]!.n as number;
      return value;
    });
    forget();
    if (result.ok && changes !== this.#changes) {
      this.#changes = changes;
      await this.#options.committed();
    }
    return result;
  }

  /** Statements take time now and then: a kill, or another process, comes in between. */
  #slowly(tx: SqlTransaction, process: SimProcess): SqlTransaction {
    const { latencyMs } = this.#options;
    const slowly = async <T>(run: () => Promise<T>): Promise<T> => {
      if (process.chance(0.1)) await process.take(latencyMs);
      return await run();
    };
    return {
      all: (sql, params) => slowly(() => tx.all(sql, params)),
      run: (sql, params) => slowly(() => tx.run(sql, params)),
      runMany: (sql, params) => slowly(() => tx.runMany(sql, params)),
    };
  }
}
