import { gunzipSync } from "node:zlib";
import { jsonDestination } from "@lakesync/adapter-json";
import { memoryObjectStore } from "@lakesync/adapter-memory";
import { type ObjectStore, ok, unwrapOrThrow } from "@lakesync/core";
import type { DestinationFactory } from "../databases.ts";
import { type FlowsStatus, type FlowState, readFlowsStatus } from "../flows_status.ts";

/** A destination whose objects the test sees, for each log by itself. */
export function jsonIn(stores: Map<string, ObjectStore>): DestinationFactory {
  return ({ gateway, name }) => {
    const key = `${gateway}/${name}`;
    if (!stores.has(key)) stores.set(key, memoryObjectStore());
    return Promise.resolve(ok(jsonDestination({ store: stores.get(key)!, name })));
  };
}

/** `seq op table/rowId` of all deltas that a destination has. */
export async function deltasIn(store: ObjectStore | undefined): Promise<string[]> {
  if (store === undefined) return [];
  const found: string[] = [];
  const { objects } = unwrapOrThrow(await store.list(""));
  for (const { key } of objects.filter(({ key }) => key.endsWith(".gz"))) {
    const text = new TextDecoder().decode(gunzipSync(unwrapOrThrow(await store.get(key))));
    for (const line of text.trim().split("\n")) {
      const { seq, delta } = JSON.parse(line);
      found.push(`${seq} ${delta.op} ${delta.table}/${delta.rowId}`);
    }
  }
  return found.sort();
}

/** Whether a flow has read its source to its end. */
export function isRead(flow: FlowState | undefined): flow is FlowState {
  return flow?.state === "waiting" && flow.readAt !== null;
}

/** Reads the status until it is as wanted; the test's time limit ends the waiting. */
export async function statusOf(
  data: string,
  wanted: (status: FlowsStatus) => boolean,
): Promise<FlowsStatus> {
  for (;;) {
    const status = await readFlowsStatus(data);
    if (status.ok && wanted(status.value)) return status.value;
  }
}
