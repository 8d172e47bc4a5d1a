import { type ObjectStore, ok } from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import type { TableMetadata } from "./metadata.ts";
import { REMEMBERED_FILES } from "./snapshot.ts";
import { loadTable, putHint, putVersion, type TableVersion, versionKey } from "./table.ts";

/**
 * A lake without a catalogue: a table is the folder of its name, and whoever puts
 * `metadata/vN.metadata.json` first has made version N.
 *
 * @param store The lake. Of several puts at once with `ifAbsent` it must let one succeed.
 * @returns The tables in it.
 *
 * @example The tables of an empty lake
 * ```ts
 * import { filesCatalogue } from "@lakesync/adapter-iceberg";
 * import { memoryObjectStore } from "@lakesync/adapter-memory";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(unwrapOrThrow(await filesCatalogue(memoryObjectStore()).list()), []);
 * ```
 */
export function filesCatalogue(store: ObjectStore): Catalogue {
  return {
    store,

    async list() {
      const tables: string[] = [];
      let after: string | undefined;
      for (;;) {
        const page = await store.list("", { limit: 1, ...(after !== undefined && { after }) });
        if (!page.ok) return page;
        const key = page.value.objects[0]?.key;
        if (key === undefined) return ok(tables);
        const [name, folder] = key.split("/", 2);
        // "0" follows "/": no object of the folder is above this.
        after = folder === undefined ? key : `${name}0`;
        if (folder === undefined) continue;
        const versions = await store.list(`${name}/metadata/v`, { limit: 1 });
        if (!versions.ok) return versions;
        if (versions.value.objects.length > 0) tables.push(name!);
      }
    },

    load: (table, known) => loadTable(store, table, known),

    create: (table, draft) =>
      Promise.resolve(
        ok({ number: 0, metadata: { ...draft, location: `${store.location}/${table}` } }),
      ),

    async commit(table, base, next) {
      const version = {
        number: base.number + 1,
        metadata: { ...next, "metadata-log": metadataLog(base) },
      };
      const outcome = await putVersion(store, table, version);
      if (outcome === "lost") return { status: "lost" };
      if (typeof outcome === "object") return { status: "unknown", error: outcome.unknown };
      await putHint(store, table, version.number);
      return { status: "committed", version };
    },
  };
}

/** The earlier metadata files, with the one that is replaced now. */
function metadataLog({ number, metadata }: TableVersion): TableMetadata["metadata-log"] {
  if (number === 0) return metadata["metadata-log"];
  return [
    ...metadata["metadata-log"],
    {
      "timestamp-ms": metadata["last-updated-ms"],
      "metadata-file": `${metadata.location}${versionKey("", number)}`,
    },
  ].slice(-REMEMBERED_FILES);
}

/** Where a lake is: its tables' names and versions beside its files, or in a catalogue. */
export interface LakePlace {
  /**
   * The lake, where it has no catalogue.
   *
   * @default {undefined} there is a `catalogue`
   */
  readonly store?: ObjectStore;
  /**
   * The lake's catalogue.
   *
   * @default {undefined} there is a `store`
   */
  readonly catalogue?: Catalogue;
}

/** The catalogue of a lake. Throws a `TypeError` where both are given, or neither. */
export function catalogueOf({ store, catalogue }: LakePlace): Catalogue {
  if (store !== undefined && catalogue === undefined) return filesCatalogue(store);
  if (store === undefined && catalogue !== undefined) return catalogue;
  throw new TypeError("Cannot tell where the lake is: give either a store or a catalogue");
}
