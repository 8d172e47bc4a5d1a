import {
  type AppendOutcome,
  type AppendRequest,
  err,
  type LakeSyncError,
  type Result,
} from "@lakesync/core";
import { readGroupBase } from "./postgres_base.ts";
import type { PostgresClock } from "./postgres_clock.ts";
import { AppendGroup } from "./postgres_group.ts";
import type { PostgresPools } from "./postgres_pools.ts";
import type { PostgresStatements } from "./postgres_statements.ts";
import { writeGroup } from "./postgres_write.ts";
import { nextTurn } from "./turn.ts";

/** So many deltas share one commit at the most. */
const GROUP_DELTAS = 10_000;

/** What an appender works with. */
export interface AppenderParts {
  readonly database: PostgresPools;
  readonly statements: PostgresStatements;
  readonly clock: PostgresClock;
  /** The channel that other instances listen to. */
  readonly channel: string;
  /** What a caller is told of a failure. */
  readonly failed: (thrown: unknown) => LakeSyncError;
  /** Called after a commit that has written something. */
  readonly onWrite: () => void;
}

interface Waiting {
  readonly request: AppendRequest;
  readonly resolve: (result: Result<AppendOutcome>) => void;
}

/** Takes an instance's appends, one group of them after the other, each group in one commit. */
export class PostgresAppender {
  readonly #parts: AppenderParts;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(parts: AppenderParts) {
    this.#parts = parts;
  }

  /** Resolves when all that was taken is answered. */
  get settled(): Promise<void> {
    return this.#running ?? Promise.resolve();
  }

  /** Appends: see the port. */
  append(request: AppendRequest): Promise<Result<AppendOutcome>> {
    return new Promise((resolve) => {
      this.#waiting.push({ request, resolve });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    // One turn of the event loop later: pushes that arrive together share one commit, as do all
    // that arrive while one is under way.
    await new Promise<void>(nextTurn);
    while (this.#waiting.length > 0) {
      let deltas = 0;
      let count = 0;
      while (count < this.#waiting.length && (count === 0 || deltas < GROUP_DELTAS)) {
        deltas += this.#waiting[count++]!.request.rows.length;
      }
      await this.#appendGroup(this.#waiting.splice(0, count));
    }
    this.#running = undefined;
  }

  async #appendGroup(group: readonly Waiting[]): Promise<void> {
    let results: readonly Result<AppendOutcome>[];
    try {
      results = await this.#commit(group.map(({ request }) => request));
    } catch (thrown) {
      const error = this.#parts.failed(thrown);
      if (error.code === "PAYLOAD_TOO_LARGE" && group.length > 1) {
        for (const one of group) await this.#appendGroup([one]);
        return;
      }
      results = group.map(() => err(error));
    }
    group.forEach(({ resolve }, i) => resolve(results[i]!));
  }

  async #commit(requests: readonly AppendRequest[]): Promise<readonly Result<AppendOutcome>[]> {
    const { database, statements, clock, channel, onWrite } = this.#parts;
    let wrote = false;
    const results = await database.use(async (client) => {
      const now = await clock.now(client);
      const group = new AppendGroup(await readGroupBase(requests, { client, statements, now }));
      const results = requests.map((request) => group.append(request));
      wrote = await writeGroup(group, { client, statements, channel });
      return results;
    });
    if (wrote) onWrite();
    return results;
  }
}
