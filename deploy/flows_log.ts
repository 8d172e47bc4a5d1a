import { type LakeSyncError, ok, type Result, type TableSchema } from "@lakesync/core";
import type { Gateway } from "@lakesync/gateway";
import type { LoadedFlow, LoadedFlows } from "./config_flows.ts";
import type { FlowRun, ReadFlowOptions } from "./flows.ts";
import type { Routes } from "./flows_routes.ts";
import { flowSource } from "./flows_source.ts";

/** How long a flow waits for destinations behind its first, before it counts as read. */
const FLUSH_WAIT_MS = 30_000;

/**
 * The flows that go into gateways: each into each, of its tables those that the gateway has.
 *
 * @param gateways The gateways, shards among them.
 * @param options The flows, and whether there are shards.
 * @returns What is to be run.
 */
export function flowsInto(
  gateways: readonly Gateway[],
  options: { flows: LoadedFlows | undefined; sharded: boolean },
): FlowRun[] {
  const flows = options.flows?.flows.filter(({ toGateway }) => toGateway) ?? [];
  return gateways.flatMap((gateway) => {
    const tables = options.sharded ? new Set(gateway.tables.map(({ table }) => table)) : undefined;
    return flows.map((flow) => runInto(gateway, { flow, tables, flush: false }));
  });
}

/** The id of a flow's own log: an identifier, as databases want names of schemas. */
export function flowLog({ from }: LoadedFlow): string {
  return `flow_${from.replace(".", "__")}`;
}

/** Where a flow's own log is flushed to: with all that it has. */
export function directRoutes({ direct }: LoadedFlow): Routes {
  return new Map(direct.map((name) => [name, undefined]));
}

/**
 * Opens a flow that needs no gateway. It has a log that nobody is served from: so its cursor is stored
 * with its records, and its destinations have watermarks, as everywhere.
 *
 * @param flow The flow.
 * @param options The tables, and how a log is opened.
 * @returns What is to be run; why the log or a destination cannot be opened.
 */
export async function openDirect(
  flow: LoadedFlow,
  options: {
    tables: readonly TableSchema[] | undefined;
    open: (id: string) => Promise<Result<Gateway>>;
  },
): Promise<Result<FlowRun[]>> {
  const opened = await options.open(flowLog(flow));
  if (!opened.ok) return opened;
  const gateway = opened.value;
  const { tables } = options;
  if (tables !== undefined && JSON.stringify(tables) !== JSON.stringify(gateway.tables)) {
    const put = await gateway.putSchema({ tables });
    if (!put.ok) return put;
  }
  return ok([runInto(gateway, { flow, tables: undefined, flush: true })]);
}

function runInto(
  gateway: Gateway,
  about: {
    readonly flow: LoadedFlow;
    /** The tables of that log where it has not all of them. */
    readonly tables: ReadonlySet<string> | undefined;
    /** Whether what was read is flushed at once: nobody else flushes a flow's own log. */
    readonly flush: boolean;
  },
): FlowRun {
  return {
    flow: about.flow,
    log: gateway.id,
    store: gateway.store,
    read: (options) => readInto(gateway, { ...about, ...options }),
  };
}

async function readInto(
  gateway: Gateway,
  options: ReadFlowOptions & {
    readonly flow: LoadedFlow;
    readonly tables: ReadonlySet<string> | undefined;
    readonly flush: boolean;
  },
): Promise<LakeSyncError | undefined> {
  const { flow, tables, flush, signal, onBatch } = options;
  let before = { records: 0, deltas: 0 };
  const read = await gateway.ingest(flowSource(flow, { tables }), {
    signal,
    onBatch: (report) => {
      onBatch({
        records: report.records - before.records,
        deltas: report.deltas - before.deltas,
      });
      before = report;
    },
  });
  // What came before a failure goes on.
  const flushed = flush && !signal.aborted
    ? await gateway.flush({ waitMs: FLUSH_WAIT_MS })
    : undefined;
  if (!read.ok) return read.error;
  return flushed?.ok === false ? flushed.error : undefined;
}
