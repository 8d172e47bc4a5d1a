import type { LakeSyncError, Logger, LogStore, Random, Scheduler } from "@lakesync/core";
import type { LoadedFlow } from "./config_flows.ts";
import type { FlowsStatusFile, FlowState } from "./flows_status.ts";

/** A flow on its way to one place. */
export interface FlowRun {
  /** The flow. */
  readonly flow: LoadedFlow;
  /** The log that it goes into, or that keeps its place. */
  readonly log: string;
  /** The destination that it goes to past that log; left out where it does not. */
  readonly destination?: string;
  /** That log. */
  readonly store: Pick<LogStore, "acquireLease" | "releaseLease" | "getValue" | "setValue" | "now">;
  /** Reads the flow's source to its end; gives what it failed with. */
  read(options: ReadFlowOptions): Promise<LakeSyncError | undefined>;
}

/** How a flow's source is read. */
export interface ReadFlowOptions {
  /** Stops it. */
  readonly signal: AbortSignal;
  /** Called with what was added. */
  readonly onBatch: (added: { readonly records: number; readonly deltas: number }) => void;
}

/** How a flow is before it is read. */
export function unread({ flow, log, destination }: FlowRun): FlowState {
  return {
    flow: flow.from,
    log,
    ...(destination !== undefined && { destination }),
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
  const { flow, log, store } = run;
  const { status, scheduler, logger, signal, holder } = options;
  let state = unread(run);
  const set = (change: Partial<FlowState>) => status.set(state = { ...state, ...change });
  // Whoever reads the source tells the other processes at the end of a reading, by way of the log.
  const tell = async () => {
    await store.setValue(`flow-state:${nameOf(run)}`, JSON.stringify(state));
  };
  const lease = `flow:${nameOf(run)}`;
  const take = () => store.acquireLease(lease, { holder, ttlMs: LEASE_MS });
  const fail = ({ code, message }: LakeSyncError) => {
    set({ state: "failed", error: { code, message } });
    logger.log("error", "flow.failed", { flow: flow.from, log, code, message });
  };
  while (!signal.aborted) {
    const taken = await take();
    if (!taken.ok) fail(taken.error);
    else if (!taken.value) set({ ...await toldState(run), state: "elsewhere" });
    else {
      const failure = await run.read({
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
        const now = await store.now();
        set({ state: "waiting", error: null, ...(now.ok && { readAt: now.value }) });
      }
      await tell();
      // Another process may go on where this one fails or ends.
      if (failure !== undefined || signal.aborted) {
        await store.releaseLease(lease, { holder });
      }
    }
    const seconds = state.error === null ? flow.every : Math.min(flow.every, RETRY_SECONDS);
    await scheduler.delay(seconds * 1000, { signal });
  }
  await store.releaseLease(lease, { holder });
}

/** Tells it from the others that go through the same log. */
function nameOf({ flow, destination }: FlowRun): string {
  return destination === undefined ? flow.from : `${flow.from}:${destination}`;
}

/** What the process that reads a flow's source told last. */
async function toldState(run: FlowRun): Promise<Partial<FlowState>> {
  const told = await run.store.getValue(`flow-state:${nameOf(run)}`);
  return told.ok && told.value !== undefined ? JSON.parse(told.value) as FlowState : {};
}
