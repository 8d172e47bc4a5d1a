import {
  type AppendPlan,
  type AppendRequest,
  type AppendView,
  type Clock,
  type Delta,
  err,
  LakeSyncError,
  type LogSnapshot,
  type LogStore,
  ok,
  type Result,
  type RowWrite,
  unwrapOrThrow,
} from "@lakesync/core";
import { memoryLogStore } from "@lakesync/gateway";
import { Line } from "./line.ts";
import type { SimProcess } from "./process.ts";
import type { Trace } from "./trace.ts";

/** What may go wrong with an operation of the log's store. */
export type LogFault = "fail" | "lose-answer" | undefined;

/** What a {@linkcode SharedLog} works with. */
export interface SharedLogOptions {
  /** The store's clock. */
  readonly clock: Clock;
  /** About how long an operation takes, in ms. */
  readonly latencyMs: number;
  readonly trace: Trace;
  /** Draws what goes wrong with an operation. */
  readonly fault: (name: string) => LogFault;
  /** Called when the log was trimmed up to a seq. */
  readonly trimmed: (through: number) => void;
  /** Called with what the store has of rules, whenever that may have changed. */
  readonly ruled: (text: string | undefined) => void;
  /** Called before each append of deltas is added to the line. */
  readonly appends: (clientId: string, deltas: readonly Delta[]) => void;
  readonly violate: (promise: string, details: string) => void;
}

/** Something that changed the durable state, so that a backup can be made of the first few of them. */
type Change =
  | {
    readonly do: "append";
    readonly clientId: string;
    readonly plan: AppendPlan;
    /** The deltas that the plan asked about: a store remembers the duplicates of a push. */
    readonly asked: readonly Delta[];
  }
  | { readonly do: "set"; readonly key: string; readonly value: string | null }
  | { readonly do: "trim"; readonly through: number };

/** A place to go back to. */
export interface Backup {
  readonly changes: number;
  readonly head: number;
  readonly trimmed: number;
}

/**
 * The durable state that all instances of a gateway share: a database server, say. Only what was
 * synced is in it. An instance's append is first planned on the state of then (that much is in its
 * memory), and some time later planned once more, synced, and some time later answered: where the
 * instance dies in between, what was not synced is gone, and what was is there though nobody knows.
 */
export class SharedLog {
  readonly #options: SharedLogOptions;
  #memory: LogStore;
  #changes: { readonly at: number; readonly change: Change }[] = [];
  #line = new Line();
  #epochs = 0;

  constructor(options: SharedLogOptions) {
    this.#options = options;
    this.#memory = this.#make(options.clock);
  }

  /** The log as it is now. */
  get line(): Line {
    return this.#line;
  }

  #make(clock: Clock): LogStore {
    const epoch = `00000000-0000-4000-8000-${String(this.#epochs).padStart(12, "0")}`;
    return memoryLogStore({
      clock,
      random: { uuid: () => epoch, bytes: (n) => new Uint8Array(n) },
    });
  }

  /** The log's epoch. */
  get epoch(): string {
    return this.#memory.epoch;
  }

  /** Notes the present state. */
  async backup(): Promise<Backup> {
    const { head, trimmed } = unwrapOrThrow(await this.#memory.stats());
    return { changes: this.#changes.length, head, trimmed };
  }

  /** Puts an earlier state back; every instance must be dead. */
  async restore(backup: Backup): Promise<void> {
    this.#changes = this.#changes.slice(0, backup.changes);
    let now: number | undefined = 0;
    const { clock } = this.#options;
    this.#memory = this.#make({ now: () => now ?? clock.now() });
    for (const { at, change } of this.#changes) {
      now = at;
      await redo(this.#memory, change);
    }
    now = undefined;
    this.#line = this.#line.fork(backup.head, backup.trimmed);
    this.#options.ruled(unwrapOrThrow(await this.#memory.getValue("rules")));
  }

  /** Begins with nothing, and another epoch; every instance must be dead. */
  reset(): void {
    this.#epochs++;
    this.#changes = [];
    this.#memory = this.#make(this.#options.clock);
    this.#line = new Line();
    this.#options.ruled(undefined);
  }

  /** An instance's process was killed: the server goes on without it. */
  killed(): void {}

  /** The store as an instance sees it. */
  open(process: SimProcess): Promise<Result<LogStore>> {
    return Promise.resolve(ok(this.#open(process)));
  }

  #open(process: SimProcess): LogStore {
    const memory = this.#memory;
    const { latencyMs, trace, fault } = this.#options;
    const through = async <T>(name: string, run: () => Promise<Result<T>>): Promise<Result<T>> => {
      await process.take(latencyMs);
      const what = fault(name);
      if (what === "fail") return err(broken(name, "the store failed"));
      const result = await run();
      await process.take(latencyMs);
      if (what === "lose-answer") return err(broken(name, "the connection was lost"));
      return result;
    };
    const write = <T>(name: string, change: Change, run: () => Promise<Result<T>>) =>
      through(name, async () => {
        const result = await run();
        if (result.ok) this.#note(change);
        return result;
      });
    return {
      epoch: memory.epoch,
      head: () => through("head", () => memory.head()),
      now: () => through("now", () => memory.now()),
      subscribe: (listener) =>
        memory.subscribe(() => void process.take(latencyMs).then(() => listener())),
      append: (request) =>
        through("append", async () => {
          await dryRun(memory, request);
          await process.take(latencyMs);
          return await this.#append(memory, request, process);
        }),
      read: (after, options) => through("read", () => memory.read(after, options)),
      hashAt: (seq) => through("hashAt", () => memory.hashAt(seq)),
      snapshot: () =>
        through("snapshot", async () => {
          const snapshot = await memory.snapshot();
          return snapshot.ok ? ok(slowly(snapshot.value, process, latencyMs)) : snapshot;
        }),
      getValue: (key) => through("getValue", () => memory.getValue(key)),
      setValue: (key, value) =>
        write("setValue", { do: "set", key, value }, () => {
          trace.note(process.name, `log set ${key}`, value ?? "null");
          return memory.setValue(key, value);
        }),
      acquireLease: (name, options) => through("lease", () => memory.acquireLease(name, options)),
      releaseLease: (name, options) => through("lease", () => memory.releaseLease(name, options)),
      trim: ({ through: last }) =>
        write("trim", { do: "trim", through: last }, async () => {
          const trimmed = await memory.trim({ through: last });
          const stats = unwrapOrThrow(await memory.stats());
          if (stats.trimmed > this.#line.trimmed) {
            trace.note(process.name, `log trimmed through ${stats.trimmed}`);
            trace.count("trim");
            this.#line.trim(stats.trimmed);
            this.#options.trimmed(stats.trimmed);
          }
          return trimmed;
        }),
      seqBefore: (at) => through("seqBefore", () => memory.seqBefore(at)),
      stats: () => through("stats", () => memory.stats()),
      // The server goes on without this instance.
      close: () => Promise.resolve(),
    };
  }

  /** The store as somebody sees it for whom no time passes: for checks. */
  peek(): LogStore {
    return this.#memory;
  }

  async #append(
    memory: LogStore,
    request: AppendRequest,
    process: SimProcess,
  ): ReturnType<LogStore["append"]> {
    const { trace, violate } = this.#options;
    const asked: Delta[] = [];
    let planned: AppendPlan | undefined;
    const head = this.#line.head;
    const appended = await memory.append({
      ...request,
      plan: (view) => {
        const watched: AppendView = {
          ...view,
          duplicate: (delta) => {
            asked.push(delta);
            return view.duplicate(delta);
          },
        };
        planned = request.plan(watched);
        return planned;
      },
    });
    if (!appended.ok || planned === undefined) return appended;
    const { entries } = planned;
    const rules = planned.values?.get("rules");
    if (typeof rules === "string") this.#options.ruled(rules);
    if (entries.length + asked.length + (planned.values?.size ?? 0) > 0) {
      const { plan: _, ...change } = { clientId: request.clientId, plan: planned, asked };
      this.#note({ do: "append", ...change, plan: { ...planned } });
    }
    if (entries.length > 0) {
      const read = unwrapOrThrow(await memory.read(head, { limit: entries.length }));
      for (const { seq, json } of read) trace.note(process.name, `log ${seq}`, json);
      const deltas = read.map(({ json }) => JSON.parse(json) as Delta);
      this.#options.appends(request.clientId, deltas);
      const fault = this.#line.append(deltas);
      if (fault !== undefined) violate("the log has each delta once", fault);
      if (appended.value.head.seq !== this.#line.head) {
        violate("the log has no gaps", `head ${appended.value.head.seq}, not ${this.#line.head}`);
      }
    }
    return appended;
  }

  #note(change: Change): void {
    this.#changes.push({ at: this.#options.clock.now(), change });
  }
}

/** Plans an append on the present state without writing anything. */
async function dryRun(memory: LogStore, request: AppendRequest): Promise<void> {
  await memory.append({
    ...request,
    plan: (view) => {
      request.plan(view);
      throw new LakeSyncError("ABORTED", "planned only");
    },
  });
}

async function redo(memory: LogStore, change: Change): Promise<void> {
  switch (change.do) {
    case "set":
      unwrapOrThrow(await memory.setValue(change.key, change.value));
      return;
    case "trim":
      unwrapOrThrow(await memory.trim({ through: change.through }));
      return;
    case "append": {
      const { clientId, plan, asked } = change;
      const request: AppendRequest = {
        clientId,
        deltas: asked,
        rows: [],
        plan: (view) => {
          for (const delta of asked) view.duplicate(delta);
          return plan;
        },
      };
      unwrapOrThrow(await memory.append(request));
    }
  }
}

/** The same snapshot, a few rows at a time. */
function slowly(snapshot: LogSnapshot, process: SimProcess, latencyMs: number): LogSnapshot {
  return {
    position: snapshot.position,
    async *rows(tables) {
      for await (const chunk of snapshot.rows(tables)) {
        for (let i = 0; i < chunk.length; i += 3) {
          await process.take(latencyMs);
          yield chunk.slice(i, i + 3) as readonly RowWrite[];
        }
      }
    },
    close: () => snapshot.close(),
  };
}

function broken(name: string, reason: string): LakeSyncError {
  return new LakeSyncError("STORAGE_ERROR", `Cannot ${name}: ${reason}`);
}
