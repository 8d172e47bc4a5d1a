import { copySource } from "@lakesync/adapter-sources";
import {
  type Destination,
  type LakeSyncError,
  type LogStore,
  ok,
  type Result,
  type Source,
} from "@lakesync/core";
import type { LoadedFlow } from "./config_flows.ts";
import type { FlowRun, ReadFlowOptions } from "./flows.ts";
import { flowLog } from "./flows_log.ts";
import { flowSource } from "./flows_source.ts";

/** Where a flow is copied to. */
export interface CopyPlaces {
  /** Where its place is kept: the log that it would have otherwise. */
  readonly store: LogStore;
  /** The destinations. */
  readonly destinations: readonly Destination[];
}

/** A flow that is copied. */
export type CopiedFlow = LoadedFlow & { readonly copy: NonNullable<LoadedFlow["copy"]> };

/** Tells whether a flow is copied, without a log between. */
export function isCopied(flow: LoadedFlow): flow is CopiedFlow {
  return flow.copy !== undefined;
}

/**
 * Opens a flow that is copied: to each destination by itself, which has a place of its own and so holds
 * up no other.
 *
 * @param flow The flow.
 * @param open Opens what it needs, by the id of the log that it would have.
 * @returns What is to be run; why the log or a destination cannot be opened.
 */
export async function openCopied(
  flow: CopiedFlow,
  open: (id: string) => Promise<Result<CopyPlaces>>,
): Promise<Result<FlowRun[]>> {
  const log = flowLog(flow);
  const opened = await open(log);
  if (!opened.ok) return opened;
  const { store, destinations } = opened.value;
  return ok(destinations.map((to): FlowRun => ({
    flow,
    log,
    destination: to.name,
    store,
    read: (options) => copyTo(to, { ...options, flow, store }),
  })));
}

async function copyTo(
  to: Destination,
  options: ReadFlowOptions & { readonly flow: CopiedFlow; readonly store: LogStore },
): Promise<LakeSyncError | undefined> {
  const { flow, store, signal, onBatch } = options;
  let committed = 0;
  const copied = await copySource(counted(flow, onBatch), to, {
    ...flow.copy,
    places: store,
    signal,
    onCommit({ records }) {
      onBatch({ records: 0, deltas: records - committed });
      committed = records;
    },
  });
  return copied.ok ? undefined : copied.error;
}

/** A flow's source which tells how many records were read of it. */
function counted(flow: LoadedFlow, onBatch: ReadFlowOptions["onBatch"]): Source {
  const source = flowSource(flow, { tables: undefined, exact: true });
  return {
    name: source.name,
    async *read(options) {
      for await (const batch of source.read(options)) {
        if (batch.ok) onBatch({ records: batch.value.changes.length, deltas: 0 });
        yield batch;
      }
    },
  };
}
