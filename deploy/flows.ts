import {
  type LakeSyncError,
  type Logger,
  ok,
  type Random,
  type Result,
  type Scheduler,
  type TableSchema,
} from "@lakesync/core";
import type { Gateway } from "@lakesync/gateway";
import type { LoadedFlow, LoadedFlows } from "./config_flows.ts";
import { flowSource } from "./flows_source.ts";
import type { FlowsStatusFile, FlowState } from "./flows_status.ts";

/** A flow and the log that it goes into. */
export interface FlowRun {
  readonly flow: LoadedFlow;
  /** Whose log. */
  readonly gateway: Gateway;
  /** The tables of that log where it has not all of them. */
  readonly tables: ReadonlySet<string> | undefined;
  /** Whether what was read is flushed at once: nobody else flushes a flow's own log. */
  readonly flush: boolean;
}

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
    return flows.map((flow) => ({ flow, gateway, tables, flush: false }));
  });
}

/** The id of a flow's own log: an identifier, as databases want names of schemas. */
export function flowLog({ from }: LoadedFlow): string {
  return `flow_${from.replace(".", "__")}`;
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
): Promise<Result<FlowRun>> {
  const opened = await options.open(flowLog(flow));
  if (!opened.ok) return opened;
  const gateway = opened.value;
  const { tables } = options;
  if (tables !== undefined && JSON.stringify(tables) !== JSON.stringify(gateway.tables)) {
    const put = await gateway.putSchema({ tables });
    if (!put.ok) return put;
  }
  return ok({ flow, gateway, tables: undefined, flush: true });
}

/** How a flow is before it is read. */
export function unread({ flow, gateway }: FlowRun): FlowState {
  return {
    flow: flow.from,
    log: gateway.id,
    state: "waiting",
    records: 0,
    deltas: 0,
    readAt: null,
    error: null,
  };
}

/** Options of {@linkcode runFlows}. */
export interface RunFlowsOptions {
  readonly status: FlowsStatusFile;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  /** Ends them. */
  readonly signal: AbortSignal;
}

/** A failed reading is tried again after this time, or earlier where the flow is read more often. */
const RETRY_SECONDS = 30;
/** How long a lease outlives a process that has died. */
const LEASE_MS = 60_000;

/**
 * Reads sources every so often, each by one process at a time. That is a lease's doing, for economy: a
 * source that two of them read is still taken in once.
 *
 * @param runs The flows.
 * @param options Until when.
 * @returns Resolves when the signal has ended them, after the batches under way.
 */
export async function runFlows(runs: readonly FlowRun[], options: RunFlowsOptions): Promise<void> {
  const holder = options.random.uuid();
  await Promise.all(runs.map((run) => runFlow(run, { ...options, holder })));
}

async function runFlow(
  run: FlowRun,
  options: RunFlowsOptions & { holder: string },
): Promise<void> {
  const { flow, gateway } = run;
  const { status, scheduler, logger, signal, holder } = options;
  let state = unread(run);
  const set = (change: Partial<FlowState>) => status.set(state = { ...state, ...change });
  const lease = `flow:${flow.from}`;
  const take = () => gateway.store.acquireLease(lease, { holder, ttlMs: LEASE_MS });
  const fail = ({ code, message }: LakeSyncError) => {
    set({ state: "failed", error: { code, message } });
    logger.log("error", "flow.failed", { flow: flow.from, log: gateway.id, code, message });
  };
  while (!signal.aborted) {
    const taken = await take();
    if (!taken.ok) fail(taken.error);
    else if (!taken.value) set({ state: "elsewhere", error: null });
    else {
      const failure = await readOnce(run, {
        signal,
        onBatch: (added) => {
          set({
            state: "reading",
            records: state.records + added.records,
            deltas: state.deltas + added.deltas,
          });
          // Its answer tells nothing that matters here.
          take();
        },
      });
      if (failure?.code === "ABORTED" && signal.aborted) set({ state: "waiting" });
      else if (failure !== undefined) fail(failure);
      else {
        const now = await gateway.store.now();
        set({ state: "waiting", error: null, ...(now.ok && { readAt: now.value }) });
      }
      // Another process may go on where this one fails or ends.
      if (failure !== undefined || signal.aborted) {
        await gateway.store.releaseLease(lease, { holder });
      }
    }
    const seconds = state.error === null ? flow.every : Math.min(flow.every, RETRY_SECONDS);
    await scheduler.delay(seconds * 1000, { signal });
  }
  await gateway.store.releaseLease(lease, { holder });
}

/** Reads a flow's source to its end; gives what it failed with. */
async function readOnce(
  { flow, gateway, tables, flush }: FlowRun,
  options: {
    signal: AbortSignal;
    onBatch: (added: { records: number; deltas: number }) => void;
  },
): Promise<LakeSyncError | undefined> {
  let before = { records: 0, deltas: 0 };
  const read = await gateway.ingest(flowSource(flow, { tables }), {
    signal: options.signal,
    onBatch: (report) => {
      options.onBatch({
        records: report.records - before.records,
        deltas: report.deltas - before.deltas,
      });
      before = report;
    },
  });
  // What came before a failure goes on.
  const flushed = flush && !options.signal.aborted ? await gateway.flush() : undefined;
  if (!read.ok) return read.error;
  return flushed?.ok === false ? flushed.error : undefined;
}
