import {
  cloneRow,
  compareStamps,
  type Delta,
  emptyRow,
  type Hlc,
  isVisible,
  type LogEntry,
  type LogStore,
  mergeDelta,
  type PushAnswer,
  type RowState,
  type Stamp,
  unpackHlc,
  unwrapOrThrow,
} from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";

/** An accepted delta with its place. */
export interface Accepted {
  readonly seq: number;
  readonly at: number;
  readonly delta: Delta;
}

/** The rows that are visible, by table and id. */
export type OracleRows = ReadonlyMap<string, ReadonlyMap<string, RowState>>;

/**
 * Every delta that the gateway has ever accepted, read from its log before it trims it, and the
 * rows that a gateway must still have of them.
 */
export class History {
  readonly accepted: Accepted[] = [];
  /** The rows that are not purged, with the seq of their last entries. */
  readonly #held = new Map<string, { state: RowState; seq: number }>();
  #purged: Stamp | undefined;
  #reading: Promise<void> = Promise.resolve();

  /** The same store, whose entries are read before a trim removes them. */
  watch(store: LogStore): LogStore {
    const trim: LogStore["trim"] = async (options) => {
      await this.read(store);
      this.#purge(options.through);
      return await store.trim(options);
    };
    return new Proxy(store, {
      get(target, name): unknown {
        if (name === "trim") return trim;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Reads what came to the log. */
  read(store: LogStore): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      for (;;) {
        const entries = await store.read(this.accepted.length, { limit: 100 });
        // Its process was killed meanwhile: the log is read when it runs again.
        if (!entries.ok && entries.error.code === "CLOSED") return;
        const found = unwrapOrThrow(entries);
        if (found.length === 0) return;
        for (const entry of found) this.#add(entry);
      }
    });
    return this.#reading;
  }

  /** Holds the log of a gateway that was opened again to what was read before. */
  async compare(store: LogStore): Promise<void> {
    const head = unwrapOrThrow(await store.head());
    assert(head.seq >= this.accepted.length, "a reopened log has every entry that was readable");
    const { trimmed } = unwrapOrThrow(await store.stats());
    for (const entry of unwrapOrThrow(await store.read(trimmed, { limit: 100_000 }))) {
      const known = this.accepted[entry.seq - 1];
      if (known !== undefined) assertEquals(JSON.parse(entry.json), known.delta);
    }
  }

  /** A copy of a row's state as a gateway must have it; undefined where it has none. */
  held(delta: Delta): RowState | undefined {
    const row = this.#held.get(keyOf(delta));
    return row && cloneRow(row.state);
  }

  /** Why a push's rejection is not as it must be; undefined where it is. */
  rejectionFault(
    push: readonly Delta[],
    context: {
      rejection: PushAnswer["rejected"][number];
      answer: PushAnswer;
      before: readonly (RowState | undefined)[];
      now: number;
    },
  ): string | undefined {
    const { rejection: { index, code, deltaId }, answer, before, now } = context;
    const delta = push[index];
    if (delta?.deltaId !== deltaId) return "it names another delta";
    switch (code) {
      case "CLOCK_DRIFT":
        return push.slice(0, index + 1).some(({ hlc }) => unpackHlc(hlc).wallMs > now + 5_000)
          ? undefined
          : "no delta up to it is ahead of time";
      case "STALE": {
        if (this.#purged === undefined || compareStamps(delta, this.#purged) > 0) {
          return "it is above what was purged";
        }
        return [before[index], this.held(delta)].some((state) => state?.life === undefined)
          ? undefined
          : "its row is there";
      }
      case "TX_REJECTED":
        return answer.rejected.some((other) =>
            other.code !== "TX_REJECTED" && push[other.index]?.txId === delta.txId
          )
          ? undefined
          : "nothing else of its transaction is rejected";
      default:
        return `nothing here may be ${code}`;
    }
  }

  /** The rows by the protocol's merge of everything accepted, with stamps up to `asOf`. */
  rows(asOf?: Hlc): OracleRows {
    return visible(
      mergeAll(
        this.accepted.map(({ delta }) => delta)
          .filter(({ hlc }) => asOf === undefined || BigInt(hlc) <= BigInt(asOf)),
      ),
    );
  }

  /** What a device shows whose base is at a seq, with its own deltas on top. */
  shown(seq: number, own: readonly Delta[]): OracleRows {
    const base = visible(mergeAll(this.accepted.slice(0, seq).map(({ delta }) => delta)));
    return visible(mergeAll(own, base));
  }

  #add(entry: LogEntry): void {
    assertEquals(entry.seq, this.accepted.length + 1);
    const delta = JSON.parse(entry.json) as Delta;
    this.accepted.push({ seq: entry.seq, at: entry.at, delta });
    const state = this.#held.get(keyOf(delta))?.state ?? emptyRow();
    mergeDelta(state, delta);
    this.#held.set(keyOf(delta), { state, seq: entry.seq });
  }

  #purge(through: number): void {
    for (const [key, { state, seq }] of this.#held) {
      if (isVisible(state) || seq > through) continue;
      this.#held.delete(key);
      const registers = [...state.columns.values()].map(([, hlc, clientId]) => ({ hlc, clientId }));
      for (const stamp of state.life === undefined ? registers : [state.life, ...registers]) {
        if (this.#purged === undefined || compareStamps(stamp, this.#purged) > 0) {
          this.#purged = stamp;
        }
      }
    }
  }
}

function mergeAll(
  deltas: readonly Delta[],
  rows: Map<string, Map<string, RowState>> = new Map(),
): Map<string, Map<string, RowState>> {
  for (const delta of deltas) {
    const table = rows.get(delta.table) ?? new Map<string, RowState>();
    rows.set(delta.table, table);
    const state = table.get(delta.rowId) ?? emptyRow();
    table.set(delta.rowId, state);
    mergeDelta(state, delta);
  }
  return rows;
}

/** Takes out what is not visible. */
function visible(
  tables: Map<string, Map<string, RowState>>,
): Map<string, Map<string, RowState>> {
  for (const rows of tables.values()) {
    for (const [id, state] of rows) if (!isVisible(state)) rows.delete(id);
  }
  return tables;
}

function keyOf({ table, rowId }: Pick<Delta, "table" | "rowId">): string {
  return JSON.stringify([table, rowId]);
}
