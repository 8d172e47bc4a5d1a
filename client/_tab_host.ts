import {
  bigint,
  type Clock,
  LakeSyncError,
  type Random,
  type Scheduler,
  type SqlDatabase,
  type SqlTransaction,
  unwrapOrThrow,
  type ValidatorResult,
} from "@lakesync/core";
import type { Engine, Wrote } from "./_engine.ts";
import type { Changed } from "./_live_hub.ts";
import { type LocalTable, localTable } from "./_local_table.ts";
import type { FlyingPush } from "./_outbox.ts";
import { noteCommit, wasCommitted } from "./_tab_commits.ts";
import { applyWrite, type WriteOp } from "./_write_op.ts";
import { type AppRow, type WriteContext, WriteSession } from "./_write_session.ts";
import type {
  DeclaredTable,
  HelloBody,
  LeaderCalls,
  LeaderNews,
  PackedIssue,
  StorageEstimate,
  TabCalls,
  TabNews,
  Welcome,
} from "./_tab_messages.ts";
import { packErrors, packRows } from "./_tab_pack.ts";
import { type Port, Rpc, type RpcHandlers } from "./_tab_rpc.ts";
import { TabTransaction } from "./_tab_transaction.ts";

/** How long a tab's validator may take: the write holds up all others. */
const JUDGE_MS = 5_000;

/** What a tab is served from. */
export interface TabHostOptions {
  readonly term: string;
  readonly port: Port;
  readonly hello: HelloBody;
  readonly database: SqlDatabase;
  /** The engine: another one after the tables have grown. */
  readonly engine: () => Engine;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly estimate: () => Promise<StorageEstimate>;
  /** Told that the tab wants automatic syncs to stop, or to start again. */
  readonly pause: (paused: boolean) => void;
  /** Told what the tab has written. */
  readonly wrote: (wrote: Wrote, flying?: FlyingPush) => void;
}

/** A transaction under way, and the app's changes in it, where there are any. */
interface OpenTransaction {
  readonly id: string;
  readonly tx: TabTransaction;
  session?: WriteSession;
}

/** The leader's side of one tab. */
export class TabHost {
  readonly hello: HelloBody;
  readonly #options: TabHostOptions;
  readonly #rpc: Rpc<TabCalls, TabNews, LeaderCalls, LeaderNews>;
  readonly #context: WriteContext;
  #transaction: OpenTransaction | undefined;

  constructor(options: TabHostOptions) {
    const { port, term, hello } = options;
    this.hello = hello;
    this.#options = options;
    this.#rpc = new Rpc(port, term, this.#handlers());
    const tables = hello.tables.map((table) => this.#tableOf(table));
    this.#context = { ...options, tables: new Map(tables.map((table) => [table.name, table])) };
    port.listen((message) => this.#rpc.take(message));
  }

  /** Takes the tab in: from now on it may ask. */
  welcome(welcome: Welcome): void {
    const { port, term } = this.#options;
    port.post({ term, welcome: packErrors(welcome) });
  }

  /** Tells the tab something. */
  tell<Name extends keyof TabNews & string>(name: Name, value: TabNews[Name]): void {
    this.#rpc.tell(name, value);
  }

  /** A token from the tab. */
  async token(): Promise<string> {
    return await this.#rpc.ask("token", null);
  }

  /** The tab is gone, or the leader goes: what it has under way is rolled back. */
  async end(): Promise<void> {
    this.#rpc.end();
    await this.#transaction?.tx.rollback();
  }

  #handlers(): RpcHandlers<LeaderCalls, LeaderNews> {
    const { database, engine } = this.#options;
    return {
      asked: {
        query: async ({ sql, params }) =>
          packRows(unwrapOrThrow(await database.query(sql, params))),
        tablesOf: async (sql) => unwrapOrThrow(await database.tablesOf(sql)),
        all: ({ tx, sql, params }) =>
          this.#open(tx).step(async (sqlTx) => packRows(await sqlTx.all(sql, params))),
        run: ({ tx, sql, params }) => this.#open(tx).step((sqlTx) => sqlTx.run(sql, params)),
        runMany: ({ tx, sql, params }) =>
          this.#open(tx).step((sqlTx) => sqlTx.runMany(sql, params)),
        txWrite: ({ tx, op }) =>
          this.#open(tx).step(async (sqlTx) =>
            applyWrite(await this.#session(sqlTx), this.#table(op.table), op)
          ),
        txGet: ({ tx, table, id }) =>
          this.#open(tx).step(async (sqlTx) =>
            (await this.#session(sqlTx)).get(this.#table(table), id)
          ),
        txShow: ({ tx }) =>
          this.#open(tx).step(async (sqlTx) => (await this.#session(sqlTx)).show()),
        commit: ({ tx, done }) => this.#commit(tx, done),
        rollback: async ({ tx }) => await this.#take(tx)?.tx.rollback(),
        write: ({ tx, op, done }) => this.#write(tx, op, done),
        committed: ({ tx }) => wasCommitted(database, tx),
        rows: ({ table, ids }) => this.#rows(table, ids),
        syncOnce: async (_, signal) => unwrapOrThrow(await engine().syncOnce({ signal })),
        estimate: () => this.#options.estimate(),
      },
      told: {
        wrote: (wrote) => this.#options.wrote(wrote),
        pause: () => this.#options.pause(true),
        resume: () => this.#options.pause(false),
      },
    };
  }

  /** The app's changes in the transaction that is under way. */
  async #session(tx: SqlTransaction): Promise<WriteSession> {
    const transaction = this.#transaction;
    if (transaction === undefined) throw unknownTransaction();
    return transaction.session ??= await WriteSession.begin(tx, this.#context);
  }

  async #commit(id: string, done: readonly string[]): Promise<Changed> {
    const transaction = this.#take(id);
    if (transaction === undefined) throw unknownTransaction();
    const { clock, engine } = this.#options;
    const finished = transaction.tx.step(async (tx) => {
      await noteCommit(tx, id, { now: clock.now(), done });
      return await transaction.session?.finish({
        grouped: true,
        canPush: () => engine().canPush,
      });
    });
    // A failure of the last step is one of the whole.
    const [outcome] = await Promise.all([
      finished,
      finished.then(() => transaction.tx.commit(), () => transaction.tx.rollback()),
    ]);
    if (outcome === undefined || outcome.deltas === 0) return new Map();
    const { deltas, changed, flying } = outcome;
    this.#options.wrote({ deltas, changed }, flying);
    return changed;
  }

  async #write(
    id: string,
    op: WriteOp,
    done: readonly string[],
  ): Promise<{ value: unknown; changed: Changed }> {
    const { database, clock, engine } = this.#options;
    const written = await database.transaction(async (tx) => {
      const session = await WriteSession.begin(tx, this.#context);
      const value = await applyWrite(session, this.#table(op.table), op);
      const canPush = () => engine().canPush;
      const outcome = await session.finish({ grouped: op.grouped, canPush });
      if (outcome.deltas > 0) await noteCommit(tx, id, { now: clock.now(), done });
      return { value, outcome };
    });
    const { value, outcome } = unwrapOrThrow(written);
    const { deltas, changed, flying } = outcome;
    if (deltas > 0) this.#options.wrote({ deltas, changed }, flying);
    return { value, changed };
  }

  async #rows(name: string, ids: readonly string[]): Promise<readonly AppRow[]> {
    const table = this.#table(name);
    const rows = await this.#options.database.transaction(async (tx) => {
      const session = await WriteSession.begin(tx, this.#context);
      await session.load(table, ids);
      const rows: AppRow[] = [];
      for (const id of ids) {
        const row = await session.get(table, id);
        if (row !== undefined) rows.push(row);
      }
      return rows;
    });
    return unwrapOrThrow(rows);
  }

  #table(name: string): LocalTable {
    const table = this.#context.tables.get(name);
    if (table === undefined) throw new TypeError(`There is no table "${name}"`);
    return table;
  }

  /** What the tab's validator finds fault with. A page that hangs must not hold up the others. */
  async #judge(table: string, row: unknown): Promise<readonly PackedIssue[]> {
    const over = new AbortController();
    const late = this.#options.scheduler.delay(JUDGE_MS, { signal: over.signal }).then(() => {
      throw new LakeSyncError(
        "TIMEOUT",
        `Cannot write to "${table}": its validator did not answer within ${JUDGE_MS} ms, ` +
          "make it quicker and try again",
      );
    });
    late.catch(() => {});
    try {
      return await Promise.race([this.#rpc.ask("judge", { table, row }), late]);
    } finally {
      over.abort();
    }
  }

  /** A table of the tab's version of the app. */
  #tableOf({ schema, indexes, bigints, judged }: DeclaredTable): LocalTable {
    const validate = async (row: unknown): Promise<ValidatorResult> => {
      const issues = await this.#judge(schema.table, row);
      return issues.length === 0 ? { value: row } : { issues };
    };
    return localTable({
      name: schema.table,
      schema,
      indexes,
      columns: Object.fromEntries(bigints.map((column) => [column, bigint()])),
      validate: judged ? { "~standard": { version: 1, vendor: "lakesync", validate } } : undefined,
    });
  }

  /** The tab's transaction of that id; its first statement begins it. */
  #open(id: string): TabTransaction {
    if (this.#transaction?.id === id) return this.#transaction.tx;
    if (this.#rpc.ended) throw unknownTransaction();
    const tx = new TabTransaction(this.#options.database, this.#options.scheduler);
    this.#transaction = { id, tx };
    return tx;
  }

  #take(id: string): OpenTransaction | undefined {
    const transaction = this.#transaction;
    if (transaction?.id !== id) return undefined;
    this.#transaction = undefined;
    return transaction;
  }
}

function unknownTransaction(): LakeSyncError {
  return new LakeSyncError("CLOSED", "The transaction has ended: begin another one");
}
