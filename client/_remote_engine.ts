import { err, ok, type Result, type SqlTransaction, toLakeSyncError } from "@lakesync/core";
import type { Engine, Wrote } from "./_engine.ts";
import type { Changed } from "./_live_hub.ts";
import type { FlyingPush } from "./_outbox.ts";
import type { RemoteDatabase } from "./_remote_database.ts";
import { closedError } from "./_sync_engine.ts";
import type { Tab } from "./_tab.ts";
import { LeaderLost } from "./_tab_rpc.ts";
import type { WriteOp, WriteTarget } from "./_write_op.ts";
import type { SyncSummary } from "./status.ts";

/** The engine of whichever worker leads, as a tab has it. */
export class RemoteEngine implements Engine {
  /** The leader marks what flies: it pushes as soon as it hears of a write. */
  readonly canPush = false;
  readonly #tab: Tab;
  readonly #database: RemoteDatabase;
  #closed = false;

  constructor(tab: Tab, database: RemoteDatabase) {
    this.#tab = tab;
    this.#database = database;
  }

  write(op: WriteOp): Promise<Result<{ value: unknown; changed: Changed }>> {
    return this.#database.write(op);
  }

  changes<T>(
    body: (target: WriteTarget, tx: SqlTransaction) => Promise<T>,
  ): Promise<Result<{ value: T; changed: Changed }>> {
    return this.#database.changes(body);
  }

  nudge(_flying: FlyingPush | undefined, { deltas, changed }: Wrote): void {
    // Without a leader nothing is lost: the next one syncs first of all.
    this.#tab.line?.tell("wrote", { deltas, changed });
  }

  pause(): void {
    this.#tab.pause(true);
  }

  resume(): void {
    this.#tab.pause(false);
  }

  async syncOnce(options: { signal?: AbortSignal } = {}): Promise<Result<SyncSummary>> {
    while (!this.#closed) {
      try {
        const leader = await this.#tab.leader();
        return ok(await leader.ask("syncOnce", null, options));
      } catch (thrown) {
        if (!(thrown instanceof LeaderLost)) return err(toLakeSyncError(thrown, "INTERNAL"));
      }
    }
    return err(closedError());
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#tab.closing();
    return Promise.resolve();
  }
}
