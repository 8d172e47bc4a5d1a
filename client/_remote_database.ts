import {
  err,
  LakeSyncError,
  ok,
  type Random,
  type Result,
  type SqlDatabase,
  type SqlRow,
  type SqlTransaction,
  type SqlValue,
  toLakeSyncError,
} from "@lakesync/core";
import type { Changed } from "./_live_hub.ts";
import type { LeaderCalls } from "./_tab_messages.ts";
import { unpackRows } from "./_tab_pack.ts";
import { LeaderLost } from "./_tab_rpc.ts";
import { RemoteTransaction } from "./_remote_transaction.ts";
import { idsOf, withIds, type WriteOp, type WriteTarget } from "./_write_op.ts";

/** Asks whoever leads. */
export interface LeaderLine {
  ask<Op extends keyof LeaderCalls & string>(
    op: Op,
    args: LeaderCalls[Op][0],
    options?: { signal?: AbortSignal },
  ): Promise<LeaderCalls[Op][1]>;
}

/** Knows who leads. */
export interface LeaderFinder {
  /** The line to the present leader, as soon as there is one; rejects where none comes. */
  leader(): Promise<LeaderLine>;
}

/** What {@linkcode RemoteDatabase} works with. */
export interface RemoteDatabaseOptions {
  readonly finder: LeaderFinder;
  readonly random: Random;
  /** Called when it is closed. */
  readonly closed: () => Promise<void>;
}

/**
 * The database that the leading tab's worker has open.
 *
 * Where the leader goes while a transaction is under way, its body runs again with the next one. Where
 * it goes before it answers a commit, the next one knows whether that was done: each commit carries its
 * transaction's name in the same SQLite transaction. So nothing confirmed is lost and nothing is done
 * twice.
 */
export class RemoteDatabase implements SqlDatabase {
  readonly #options: RemoteDatabaseOptions;
  /** Transactions whose answers came: the leader need not remember them. */
  readonly #done: string[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  /** Changes under way. */
  readonly #writes: Set<Promise<unknown>> = new Set();
  #closing = false;
  #closed = false;

  constructor(options: RemoteDatabaseOptions) {
    this.#options = options;
  }

  transaction<T>(body: (tx: SqlTransaction) => Promise<T>): Promise<Result<T>> {
    return this.#inTurn(async () => (await this.#transact(body)).value);
  }

  /** Runs changes of the app as one transaction: what the body gave, and the rows that changed. */
  changes<T>(
    body: (target: WriteTarget, tx: SqlTransaction) => Promise<T>,
  ): Promise<Result<{ value: T; changed: Changed }>> {
    return this.#inTurn(() => this.#transact((tx) => body(tx, tx)));
  }

  query(sql: string, params: readonly SqlValue[] = []): Promise<Result<SqlRow[]>> {
    return this.#again(async () => {
      const leader = await this.#options.finder.leader();
      return unpackRows(await leader.ask("query", { sql, params }));
    });
  }

  tablesOf(sql: string): Promise<Result<readonly string[]>> {
    return this.#again(async () => (await this.#options.finder.leader()).ask("tablesOf", sql));
  }

  /** Makes a change, by one message: what it gave, and the rows that it changed. */
  async write(op: WriteOp): Promise<Result<{ value: unknown; changed: Changed }>> {
    const writing = this.#write(op);
    this.#writes.add(writing);
    try {
      return await writing;
    } finally {
      this.#writes.delete(writing);
    }
  }

  /** Closes it when what is under way is done. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await this.#turn;
    await Promise.allSettled(this.#writes);
    this.#closed = true;
    await this.#options.closed();
  }

  async #write(op: WriteOp): Promise<Result<{ value: unknown; changed: Changed }>> {
    const { finder, random } = this.#options;
    const whole = withIds(op, random);
    return await this.#again(async () => {
      const leader = await finder.leader();
      const tx = random.uuid();
      const done = this.#done.splice(0);
      try {
        const answer = await leader.ask("write", { tx, op: whole, done });
        this.#done.push(tx);
        return answer;
      } catch (thrown) {
        this.#done.push(...done);
        if (!(thrown instanceof LeaderLost) || !await this.#wasCommitted(tx)) throw thrown;
        this.#done.push(tx);
        return await this.#made(whole);
      }
    });
  }

  /** One after the other here too, so that a body runs only when its own turn has come. */
  #inTurn<T>(work: () => Promise<T>): Promise<Result<T>> {
    const done = this.#turn.then(() => this.#again(work));
    this.#turn = done;
    return done;
  }

  /** Does something with the present leader, and again with the next one where that is lost. */
  async #again<T>(work: () => Promise<T>): Promise<Result<T>> {
    for (;;) {
      if (this.#closed) {
        return err(new LakeSyncError("CLOSED", "The database is closed: open it again"));
      }
      try {
        return ok(await work());
      } catch (thrown) {
        if (!(thrown instanceof LeaderLost)) return err(toLakeSyncError(thrown, "INTERNAL"));
      }
    }
  }

  async #transact<T>(
    body: (tx: RemoteTransaction) => Promise<T>,
  ): Promise<{ value: T; changed: Changed }> {
    const { finder, random } = this.#options;
    const leader = await finder.leader();
    const id = random.uuid();
    const tx = new RemoteTransaction(leader, id);
    let value: T;
    try {
      value = await body(tx);
      if (tx.failure !== undefined) throw tx.failure;
    } catch (thrown) {
      if (tx.begun) await leader.ask("rollback", { tx: id });
      // What the body made of it: the transaction itself is gone with its leader.
      throw tx.failure instanceof LeaderLost ? tx.failure : thrown;
    } finally {
      tx.end();
    }
    let changed: Changed = new Map();
    if (!tx.begun) return { value, changed };
    try {
      changed = await leader.ask("commit", { tx: id, done: this.#done.splice(0) });
    } catch (thrown) {
      if (!(thrown instanceof LeaderLost) || !await this.#wasCommitted(id)) throw thrown;
      // The leader that knows of it has told what changed: everything may have.
    }
    this.#done.push(id);
    return { value, changed };
  }

  /** What a change gave whose answer was lost. */
  async #made(op: WriteOp): Promise<{ value: unknown; changed: Changed }> {
    const ids = idsOf(op);
    const changed: Changed = new Map([[op.table, new Set(ids)]]);
    if (op.quiet === true) return { value: undefined, changed };
    if (op.method === "delete") return { value: true, changed };
    const rows = await this.#surely((leader) => leader.ask("rows", { table: op.table, ids }));
    return { value: "rows" in op ? rows : rows[0], changed };
  }

  #wasCommitted(tx: string): Promise<boolean> {
    return this.#surely((leader) => leader.ask("committed", { tx }));
  }

  /** Asks until a leader answers, or it is closed: nobody could tell what became of a change. */
  async #surely<T>(ask: (leader: LeaderLine) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask(await this.#options.finder.leader());
      } catch (thrown) {
        if (thrown instanceof LeaderLost) continue;
        const late = thrown instanceof LakeSyncError && thrown.code === "TIMEOUT";
        if (!late || this.#closing) throw thrown;
      }
    }
  }
}
