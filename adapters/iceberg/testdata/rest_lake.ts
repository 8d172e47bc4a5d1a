/** A lake in a REST catalogue for the tests. */
import { fileURLToPath } from "node:url";
import { type ObjectStore, type Scheduler, unwrapOrThrow, type Watermark } from "@lakesync/core";
import { fileObjectStore } from "@lakesync/testing";
import type { Catalogue } from "../catalogue.ts";
import { icebergDestination } from "../destination.ts";
import { restCatalogue, type RestCatalogueOptions } from "../rest_catalogue.ts";
import type { TableMetadata } from "../metadata.ts";
import { entries, flush } from "./lake_rows.ts";

/** Opens what lies in local files. */
export function openFiles({ location }: { readonly location: string }): ObjectStore {
  return fileObjectStore({ directory: fileURLToPath(location) });
}

/** Waits not at all, and remembers how long it was to be. */
export function noWaiting(delays: number[] = []): Scheduler {
  return {
    delay(ms, { signal } = {}) {
      // What waits for a signal waits for it: a request's time is not over at once.
      if (signal !== undefined) {
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
      }
      delays.push(ms);
      return Promise.resolve();
    },
  };
}

/** A catalogue of one namespace, which does not really wait before it asks again. */
export function catalogueAt(
  url: string,
  namespace: string,
  more: Partial<RestCatalogueOptions> = {},
): Catalogue {
  return restCatalogue({
    url,
    namespace: [namespace],
    openStore: openFiles,
    scheduler: noWaiting(),
    ...more,
  });
}

/** Does what a gateway does: tries from the newest watermark until all seqs up to `last` are there. */
export async function settle(
  catalogue: Catalogue,
  { last, batch = last, tries = 20 }: { last: number; batch?: number; tries?: number },
): Promise<void> {
  const destination = icebergDestination({ catalogue });
  for (let attempt = 0; attempt < tries; attempt++) {
    const marks = await destination.watermarks(["todos"]);
    if (!marks.ok) continue;
    const from: Watermark | undefined = marks.value.get("todos");
    const next = (from?.seq ?? 0) + 1;
    if (next > last) return;
    await flush(destination, entries(next, Math.min(next + batch - 1, last)), { from });
  }
  throw new Error(`The lake did not settle in ${tries} tries`);
}

/** The newest metadata of a table. */
export async function metadataOf(catalogue: Catalogue, table: string): Promise<TableMetadata> {
  return unwrapOrThrow(await catalogue.load(table))!.metadata;
}
