/** What holds of a lake at any time, and a store whose process is killed. */
import { type Delta, type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import { faultyObjectStore } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { filesCatalogue } from "../catalogue_files.ts";
import { ancestry, SEQ_PROPERTY } from "../metadata.ts";
import { readSeqs } from "./lake_rows.ts";
import { oracle, readState, visible } from "./state_rows.ts";

/**
 * Asserts that the changelog holds each delta once, that the rows are what the merge makes of the
 * deltas up to where the state table is, and the same of each earlier state that is still known.
 *
 * @returns How many earlier states there were.
 */
export async function checkLake(store: ObjectStore, all: readonly Delta[]): Promise<number> {
  const catalogue = filesCatalogue(store);
  const upTo = (seq: number) => Array.from({ length: seq }, (_, i) => i + 1);
  assertEquals(await readSeqs(store, "all_changes"), upTo(all.length));
  let states = 0;
  const changes = unwrapOrThrow(await catalogue.load("all_changes"))!.metadata;
  for (const { "snapshot-id": id, summary } of ancestry(changes)) {
    states++;
    assertEquals(await readSeqs(store, "all_changes", id), upTo(Number(summary[SEQ_PROPERTY])));
  }
  const state = unwrapOrThrow(await catalogue.load("all"))?.metadata;
  for (const { "snapshot-id": id, summary } of state === undefined ? [] : ancestry(state)) {
    states++;
    const deltas = all.slice(0, Number(summary[SEQ_PROPERTY]));
    assertEquals(await readState(store, "all", id), visible(oracle(deltas)));
  }
  return states;
}

/** A store whose process dies at an operation: before it is done, or just after. */
export function dyingStore(
  store: ObjectStore,
  { at, done }: { at: number; done: boolean },
): ObjectStore {
  return faultyObjectStore(store, ({ count }) => {
    if (count < at) return undefined;
    return count === at && done ? "lose-answer" : "fail";
  });
}

/** Copies all objects. */
export async function copyStore(from: ObjectStore, to: ObjectStore): Promise<void> {
  const page = unwrapOrThrow(await from.list("", { limit: 100_000 }));
  for (const { key } of page.objects) {
    unwrapOrThrow(await to.put(key, unwrapOrThrow(await from.get(key))));
  }
}
