import type { Catalogue } from "@lakesync/adapter-iceberg";
import {
  type Delta,
  deltaId,
  type Destination,
  err,
  type FlushEntry,
  type FlushOutcome,
  LakeSyncError,
  type LogStore,
  ok,
  type Result,
  type TableSchema,
  toLakeSyncError,
} from "@lakesync/core";
import { createGateway, type Gateway } from "@lakesync/gateway";
import { type LakeHistory, openHistory, together } from "./lake_history.ts";

/** Options of {@linkcode rebuildLog}. */
export interface RebuildLogOptions {
  /** The lake that the lost gateway was flushed to. */
  readonly catalogue: Catalogue;
  /** A new, empty log. It is closed. */
  readonly store: LogStore;
  /** The gateway's id. */
  readonly id: string;
  /**
   * The name of the gateway's destination that is this lake.
   *
   * @default {"lake"}
   */
  readonly destination?: string;
  /**
   * Called after each chunk with the number of changes so far.
   *
   * @default {() => {}}
   */
  readonly onProgress?: (changes: number) => void;
}

/** What was put into a log. */
export interface RebuildReport {
  /** The tables. */
  readonly tables: readonly string[];
  /** How many changes the log has now. */
  readonly changes: number;
  /** How many the lake had twice. */
  readonly duplicates: number;
}

/**
 * Fills the new log of a gateway from its lake alone, where the old one is lost.
 *
 * Every change that was flushed is in it, as the same delta: what clients send up again of it counts
 * as a duplicate, and what was deleted stays deleted. The log notes that the lake has all of it, so the
 * next flush takes up only what is new. Its epoch is another one, which tells the clients: each sends up
 * what it still keeps and takes a checkpoint. What was acknowledged and not flushed comes back with the
 * clients that made it. Rules are not in a lake: put them again.
 *
 * @param options The lake and the log.
 * @returns What it did; `CONFLICT` where the log is not empty or somebody still flushes to the lake,
 * `NOT_FOUND` where the lake has no table. After a failure the log is of no use: take a new one.
 *
 * @example A lake without tables
 * ```ts
 * import { filesCatalogue } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { rebuildLog } from "@lakesync/deploy";
 * import { memoryLogStore } from "@lakesync/gateway";
 * import { assertEquals } from "@std/assert";
 *
 * const catalogue = filesCatalogue(memoryObjectStore());
 * const report = await rebuildLog({ catalogue, store: memoryLogStore(), id: "default" });
 * assertEquals(report.ok ? "" : report.error.code, "NOT_FOUND");
 * ```
 */
export async function rebuildLog(options: RebuildLogOptions): Promise<Result<RebuildReport>> {
  const { catalogue, store, id, destination = "lake", onProgress = () => {} } = options;
  const history = await openHistory(catalogue);
  if (!history.ok) {
    await store.close();
    return history;
  }
  const { tables } = history.value;
  const opened = await openEmpty(history.value, { store, id, destination });
  if (!opened.ok) {
    await store.close();
    return opened;
  }
  const gateway = opened.value;
  try {
    let changes = 0;
    let duplicates = 0;
    for await (const chunk of history.value.changes()) {
      for (
        const answer of await Promise.all(pushes(gateway, { chunk, tables: history.value.tables }))
      ) {
        if (!answer.ok) return answer;
        changes += answer.value.accepted;
        duplicates += answer.value.duplicates;
      }
      onProgress(changes);
    }
    // Writes nothing, but notes that the lake has all of it.
    const noted = await gateway.flush();
    if (!noted.ok) return noted;
    const still = await openHistory(catalogue);
    if (!still.ok) return still;
    if (!sameMarks(history.value, still.value)) {
      return err(
        new LakeSyncError(
          "CONFLICT",
          "Somebody flushed to the lake meanwhile: stop the gateway that does, and rebuild anew",
        ),
      );
    }
    return ok({ tables: tables.map(({ table }) => table), changes, duplicates });
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  } finally {
    await gateway.close();
  }
}

/** Whether nobody has flushed in between. */
function sameMarks(a: LakeHistory, b: LakeHistory): boolean {
  return a.tables.length === b.tables.length && a.marks.size === b.marks.size &&
    [...a.marks].every(([table, { epoch, seq }]) => {
      const mark = b.marks.get(table);
      return mark?.epoch === epoch && mark.seq === seq;
    });
}

async function openEmpty(
  history: LakeHistory,
  { store, id, destination }: { store: LogStore; id: string; destination: string },
): Promise<Result<Gateway>> {
  if (history.tables.length === 0) {
    return err(
      new LakeSyncError("NOT_FOUND", "The lake has no table of LakeSync's: check where it is"),
    );
  }
  const head = await store.head();
  if (!head.ok) return head;
  if (head.value.seq > 0) {
    return err(
      new LakeSyncError(
        "CONFLICT",
        `Cannot rebuild into a log that has ${head.value.seq} entries: move it away first`,
      ),
    );
  }
  return await createGateway({
    id,
    store,
    tables: history.tables,
    destinations: [fullDestination(destination, history)],
    // What was taken once is taken again, whatever the limits and the clock are now.
    limits: { pushDeltas: Infinity, deltaBytes: Infinity, maxDriftMs: Infinity },
  });
}

/** A destination that has everything already, at the watermarks of the lake. */
function fullDestination(name: string, { marks }: LakeHistory): Destination {
  return {
    name,
    watermarks: () => Promise.resolve(ok(marks)),
    write: ({ tables }) =>
      Promise.resolve(
        ok(
          new Map([...tables.keys()].map((table): [string, FlushOutcome] => [
            table,
            { status: "empty" },
          ])),
        ),
      ),
  };
}

/** Pushes a chunk for each of its clients, each client's changes in their order. */
function* pushes(
  gateway: Gateway,
  { chunk, tables }: { chunk: readonly FlushEntry[]; tables: readonly TableSchema[] },
): Generator<Promise<Result<{ accepted: number; duplicates: number }>>> {
  const clients = new Map<string, Delta[]>();
  for (const delta of whole(chunk, tables)) {
    const deltas = clients.get(delta.clientId);
    if (deltas === undefined) clients.set(delta.clientId, [delta]);
    else deltas.push(delta);
  }
  for (const [clientId, deltas] of clients) {
    yield gateway.push({ clientId, deltas }, { sub: undefined }).then((answer) => {
      if (!answer.ok) return answer;
      const [refused] = answer.value.rejected;
      if (refused === undefined) return answer;
      const { table } = deltas[refused.index]!;
      return err(
        new LakeSyncError(
          "CORRUPT",
          `Cannot take a change of "${table}" from the lake: ${refused.code}, ${refused.message}`,
        ),
      );
    });
  }
}

/**
 * The deltas of a chunk. Where a table of the lake was itself rebuilt from a gateway's rows, an INSERT
 * there has only the columns that nobody changed since, and the changes of the others stand behind it. A
 * log wants the NOT NULL ones with it, so it gets the values that they have since: the merge is the same.
 */
function* whole(chunk: readonly FlushEntry[], tables: readonly TableSchema[]): Generator<Delta> {
  const required = new Map(tables.map(({ table, columns }) => [
    table,
    columns.filter(({ nullable }) => nullable !== true).map(({ name }) => name),
  ]));
  for (const [i, entry] of chunk.entries()) {
    const { delta } = entry;
    const carried = new Set(delta.columns.map(({ column }) => column));
    const missing = delta.op === "INSERT"
      ? new Set(required.get(delta.table)!.filter((name) => !carried.has(name)))
      : new Set<string>();
    const columns = [...delta.columns];
    for (let j = i + 1; missing.size > 0 && j < chunk.length && together(chunk[j]!, entry); j++) {
      columns.push(...chunk[j]!.delta.columns.filter(({ column }) => missing.delete(column)));
    }
    if (columns.length === delta.columns.length) yield delta;
    else {
      const content = { ...delta, columns };
      yield { ...content, deltaId: deltaId(content) };
    }
  }
}
