import {
  type DatabaseAdapter,
  err,
  type FlushEntry,
  type FlushTable,
  LakeSyncError,
  type LogStore,
  ok,
  type PlacedDelta,
  type Prunable,
  type Random,
  type Result,
  type TableSchema,
} from "@lakesync/core";

/** Where it is kept what is being moved. */
export type MovesStore = Pick<LogStore, "getValue" | "append">;

/** What is being moved, and how often something was. */
export interface MovesState {
  /** How many moves are done: it tells a reader that none came between. */
  readonly moves: number;
  /** The one under way: written before anything of it is done, and by whoever meets it ended. */
  readonly move?: {
    /** The epoch of its watermark in the cold database. */
    readonly id: string;
    readonly places: readonly number[];
    readonly tables: readonly TableSchema[];
  };
}

/** What {@linkcode Moves} work with. */
export interface MovesOptions {
  /** The value that their state is kept in. */
  readonly key: string;
  readonly store: MovesStore;
  /** Where deltas are taken from. */
  readonly pruning: Prunable;
  /** Where they go. */
  readonly cold: DatabaseAdapter;
  readonly random: Random;
}

/** Moves deltas from one database to another: one batch at a time, each there exactly once. */
export class Moves {
  readonly #options: MovesOptions;

  constructor(options: MovesOptions) {
    this.#options = options;
  }

  /** The state with nothing under way; what another process has begun and left is ended. */
  async settled(): Promise<Result<MovesState>> {
    for (;;) {
      const state = await this.#read();
      if (!state.ok || state.value.move === undefined) return state;
      const ended = await this.#end(state.value, state.value.move);
      if (!ended.ok) return ended;
    }
  }

  /** Moves deltas. `CONFLICT` where another process does it, too. */
  async move(
    deltas: readonly PlacedDelta[],
    tables: readonly TableSchema[],
  ): Promise<Result<void>> {
    const before = await this.settled();
    if (!before.ok) return before;
    const moved = new Set(deltas.map(({ entry }) => entry.delta.table));
    const set = await this.#set(before.value, {
      moves: before.value.moves,
      move: {
        id: `lifecycle:${this.#options.random.uuid()}`,
        places: deltas.map(({ place }) => place),
        tables: tables.filter(({ table }) => moved.has(table)),
      },
    });
    if (!set.ok) return set;
    if (!set.value) {
      const message = "Another process moves rows, too: leave it to that one, or run this later";
      return err(new LakeSyncError("CONFLICT", message));
    }
    const after = await this.settled();
    return after.ok ? ok(undefined) : after;
  }

  /** Ends a move, whatever of it is done already. */
  async #end(state: MovesState, move: NonNullable<MovesState["move"]>): Promise<Result<unknown>> {
    const { pruning, cold } = this.#options;
    const deltas = await pruning.deltasAt(move.places);
    if (!deltas.ok) return deltas;
    if (deltas.value.length > 0) {
      const marks = await cold.watermarks(move.tables.map(({ table }) => table));
      if (!marks.ok) return marks;
      // Watermarks of a later move would say nothing of this one.
      const present = await this.#read();
      if (!present.ok) return present;
      if (present.value.move?.id !== move.id) return ok(undefined);
      const tables = new Map<string, FlushTable>();
      for (const schema of move.tables) {
        const from = marks.value.get(schema.table);
        if (from?.epoch !== move.id) tables.set(schema.table, { schema, from });
      }
      const written = await this.#write({ id: move.id, tables, deltas: deltas.value });
      // Somebody else ends it, too: it is looked at once more.
      if (!written.ok || written.value === "moved") return written;
      const removed = await pruning.removeDeltas(move.places);
      if (!removed.ok) return removed;
    }
    return await this.#set(state, { moves: state.moves + 1 });
  }

  async #write(
    about: {
      id: string;
      tables: ReadonlyMap<string, FlushTable>;
      deltas: readonly PlacedDelta[];
    },
  ): Promise<Result<"done" | "moved">> {
    const { id, tables, deltas } = about;
    if (tables.size === 0) return ok("done");
    // Their places go with them, lest a reader gets one twice.
    const entries = deltas.flatMap(({ place, entry }): FlushEntry[] =>
      tables.has(entry.delta.table) ? [{ ...entry, seq: place }] : []
    );
    async function* once(): AsyncGenerator<readonly FlushEntry[]> {
      yield await Promise.resolve(entries);
    }
    const to = { epoch: id, seq: deltas.at(-1)!.place };
    const written = await this.#options.cold.insertDeltas({ id, to, tables, entries: once() });
    if (!written.ok) return written;
    for (const outcome of written.value.values()) {
      if (outcome.status === "failed") return err(outcome.error);
      if (outcome.status === "moved") return ok("moved");
    }
    return ok("done");
  }

  async #read(): Promise<Result<MovesState>> {
    const { key, store } = this.#options;
    const value = await store.getValue(key);
    if (!value.ok) return value;
    return ok(value.value === undefined ? { moves: 0 } : JSON.parse(value.value) as MovesState);
  }

  /** Puts one state in the place of another; false where that is not there any more. */
  async #set(before: MovesState, after: MovesState): Promise<Result<boolean>> {
    const { key, store } = this.#options;
    let done = false;
    const appended = await store.append({
      clientId: `@${key}`,
      deltas: [],
      rows: [],
      values: [key],
      plan(view) {
        const there = view.value(key) ?? JSON.stringify({ moves: 0 } satisfies MovesState);
        done = there === JSON.stringify(before);
        return {
          entries: [],
          rows: [],
          ...(done && { values: new Map([[key, JSON.stringify(after)]]) }),
        };
      },
    });
    return appended.ok ? ok(done) : appended;
  }
}
