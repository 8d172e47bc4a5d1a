import type { Result, Source, SourceBatch, SourceChange } from "@lakesync/core";
import type { LoadedFlow } from "./config_flows.ts";

/**
 * What a flow reads: its source with `map`, `where` and the choice of tables put on it. Its name, and
 * so its cursor, is the flow's own.
 *
 * @param flow The flow.
 * @param options The tables that the log at its end has: others are left out; and whether a reading
 * begins just where the last one ended, for want of a log that would sort out what comes twice.
 * @returns The source.
 */
export function flowSource(
  flow: LoadedFlow,
  { tables, exact = false }: { tables: ReadonlySet<string> | undefined; exact?: boolean },
): Source {
  const { from, source, table, where, map } = flow;
  const through = (change: SourceChange): SourceChange | undefined => {
    if (table !== undefined && change.table !== table) return undefined;
    // A row that was let through before may be so no longer: then it has to go.
    const counts = change.op === "delete" || where === undefined || where(change);
    const made = map === undefined ? change : map(change);
    if (tables?.has(made.table) === false) return undefined;
    return counts
      ? made
      : { op: "delete", table: made.table, rowId: made.rowId, columns: new Map() };
  };
  async function* read(
    { cursor, ...rest }: Parameters<Source["read"]>[0],
  ): AsyncGenerator<Result<SourceBatch>> {
    const start = exact || source.resume === undefined ? cursor : source.resume(cursor);
    for await (const batch of source.read({ cursor: start, ...rest })) {
      if (!batch.ok) {
        yield batch;
        continue;
      }
      const { changes, cursor } = batch.value;
      const kept = changes.map(through).filter((change) => change !== undefined);
      yield { ok: true, value: { changes: kept, cursor } };
    }
  }
  return { name: from, read };
}
