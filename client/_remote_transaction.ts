import { LakeSyncError, type SqlRow, type SqlTransaction, type SqlValue } from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";
import type { LeaderLine } from "./_remote_database.ts";
import type { LeaderCalls } from "./_tab_messages.ts";
import { unpackRows } from "./_tab_pack.ts";
import { LeaderLost } from "./_tab_rpc.ts";
import type { WriteOp, WriteTarget } from "./_write_op.ts";
import type { AppRow } from "./_write_session.ts";

type TransactionCall = "all" | "run" | "runMany" | "txWrite" | "txGet" | "txShow";

/** A transaction of the leader's database: its statements, and the app's changes within it. */
export class RemoteTransaction implements SqlTransaction, WriteTarget {
  /** The first failure: after it the transaction can only be rolled back. */
  failure: unknown;
  /** Whether the leader has heard of it. */
  begun = false;
  /** Its name. */
  readonly id: string;
  readonly #leader: LeaderLine;
  #ended = false;

  constructor(leader: LeaderLine, id: string) {
    this.#leader = leader;
    this.id = id;
  }

  end(): void {
    this.#ended = true;
  }

  async all(sql: string, params: readonly SqlValue[] = []): Promise<SqlRow[]> {
    return unpackRows(await this.#ask("all", { tx: this.id, sql, params }));
  }

  run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#ask("run", { tx: this.id, sql, params });
  }

  runMany(sql: string, params: readonly (readonly SqlValue[])[]): Promise<number> {
    return this.#ask("runMany", { tx: this.id, sql, params });
  }

  insert(table: LocalTable, row: AppRow): Promise<AppRow> {
    return this.#write<AppRow>({ ...part(table), method: "insert", row });
  }

  insertMany(table: LocalTable, rows: readonly AppRow[]): Promise<AppRow[]> {
    return this.#write<AppRow[]>({ ...part(table), method: "insertMany", rows });
  }

  put(table: LocalTable, row: AppRow): Promise<AppRow> {
    return this.#write<AppRow>({ ...part(table), method: "put", row });
  }

  putMany(table: LocalTable, rows: readonly AppRow[]): Promise<AppRow[]> {
    return this.#write<AppRow[]>({ ...part(table), method: "putMany", rows });
  }

  update(table: LocalTable, id: string, values: AppRow): Promise<AppRow> {
    return this.#write<AppRow>({ ...part(table), method: "update", id, values });
  }

  delete(table: LocalTable, id: string): Promise<boolean> {
    return this.#write<boolean>({ ...part(table), method: "delete", id });
  }

  get(table: LocalTable, id: string): Promise<AppRow | undefined> {
    return this.#ask("txGet", { tx: this.id, table: table.name, id });
  }

  async show(): Promise<void> {
    // Without a word of it the leader has nothing to show.
    if (this.begun) await this.#ask("txShow", { tx: this.id });
  }

  async #write<T>(op: WriteOp): Promise<T> {
    // What a change gives follows from its method.
    return await this.#ask("txWrite", { tx: this.id, op }) as T;
  }

  async #ask<Op extends TransactionCall>(
    op: Op,
    args: LeaderCalls[Op][0],
  ): Promise<LeaderCalls[Op][1]> {
    if (this.#ended) {
      throw new LakeSyncError("CLOSED", "The transaction has ended: begin another one");
    }
    this.begun = true;
    try {
      return await this.#leader.ask(op, args);
    } catch (thrown) {
      // A change that is refused leaves the transaction as it was; a failed statement does not.
      const statement = op !== "txWrite" && op !== "txGet";
      if (statement || thrown instanceof LeaderLost) this.failure ??= thrown;
      throw thrown;
    }
  }
}

function part({ name }: LocalTable): { table: string; grouped: true } {
  return { table: name, grouped: true };
}
