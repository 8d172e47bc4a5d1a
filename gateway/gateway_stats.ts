import { type Destination, type LogStore, ok, type Result, type Scheduler } from "@lakesync/core";
import { destinationState } from "./destination_stats.ts";
import type { Flusher } from "./flush.ts";
import type { GatewayStats, MaintenanceStats } from "./gateway_options.ts";
import type { SchemaRegistry } from "./schema_registry.ts";

/** What an operator is told of. */
export interface GatewayStatsParts {
  /** The log. */
  readonly store: LogStore;
  /** What takes it to the destinations. */
  readonly flusher: Flusher;
  /** Those. */
  readonly destinations: readonly Destination[];
  /** The tables. */
  readonly schema: SchemaRegistry;
  /** Measures how long a destination is waited for. */
  readonly scheduler: Scheduler;
  /** How the lake is kept, where that is done. */
  readonly maintenance: () => MaintenanceStats | undefined;
}

/** What an operator sees of a gateway. */
export async function gatewayStats(parts: GatewayStatsParts): Promise<Result<GatewayStats>> {
  const { store, flusher, scheduler } = parts;
  const stats = await store.stats();
  if (!stats.ok) return stats;
  const seqs = await flusher.flushedSeqs();
  if (!seqs.ok) return seqs;
  const schema = await parts.schema.current();
  if (!schema.ok) return schema;
  const { head, trimmed, rows, clients } = stats.value;
  const tables = schema.value.tables.map(({ table }) =>
    [table, { rows: rows.get(table) ?? 0 }] as const
  );
  const failures = flusher.failures();
  const destinations = await Promise.all(parts.destinations.map(async (destination) => {
    const { name } = destination;
    const flushedSeq = seqs.value.get(name)!;
    const failure = failures.get(name);
    const of = { flushedSeq, head, trimmed, failure, scheduler };
    return [name, await destinationState(destination, of)] as const;
  }));
  const maintenance = parts.maintenance();
  const flushedSeq = seqs.value.size === 0 ? 0 : Math.min(...seqs.value.values());
  return ok({
    head,
    flushedSeq,
    trimmedSeq: trimmed,
    lag: head - flushedSeq,
    destinations: Object.fromEntries(destinations),
    tables: Object.fromEntries(tables),
    clients,
    epoch: store.epoch,
    ...(maintenance !== undefined && { maintenance }),
  });
}
