import type { Catalogue } from "@lakesync/adapter-iceberg";
import type { FindState } from "@lakesync/analyst";
import { ok } from "@lakesync/core";

const HIDDEN_BRANCH = "lakesync_hidden";

/**
 * Finds the current rows that maintenance keeps of a lake's tables (docs/lake.md, *Current rows*).
 *
 * @param catalogue The lake.
 * @returns What an analyst takes as `findState`: it reads the rows as they are and only newer changes.
 *
 * @example Ask a lake that is maintained
 * ```ts
 * import { fileObjectStore } from "@lakesync/adapter-file";
 * import { filesCatalogue, icebergLake } from "@lakesync/adapter-iceberg";
 * import { openAnalyst } from "@lakesync/analyst";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { lakeStates } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * const catalogue = filesCatalogue(fileObjectStore({ directory: "data/lake/default" }));
 * const lake = icebergLake({ catalogue });
 * const analyst = unwrapOrThrow(await openAnalyst({ lake, findState: lakeStates(catalogue) }));
 * assertEquals(unwrapOrThrow(await analyst.tables()), []);
 * await analyst.close();
 * ```
 */
export function lakeStates(catalogue: Catalogue): FindState {
  return async (table) => {
    const version = await catalogue.load(table);
    if (!version.ok) {
      // Somebody else's table of that name.
      return version.error.code === "CONFLICT" ? ok(undefined) : version;
    }
    const { metadata } = version.value ?? {};
    const live = metadata?.["current-snapshot-id"];
    if (metadata === undefined || live === undefined) return ok(undefined);
    if (metadata.properties["lakesync.kind"] !== "state") return ok(undefined);
    const known = new Map(metadata.snapshots.map((one) => [one["snapshot-id"], one]));
    let snapshot = known.get(live);
    while (snapshot !== undefined) {
      const { summary } = snapshot;
      const changes = summary["lakesync.changes-snapshot"];
      const epoch = summary["lakesync.epoch"];
      const seq = Number(summary["lakesync.seq"] ?? NaN);
      if (changes === undefined || epoch === undefined || !Number.isSafeInteger(seq)) {
        snapshot = known.get(snapshot["parent-snapshot-id"] ?? -1n);
        continue;
      }
      const changelog = await catalogue.load(`${table}_changes`);
      if (!changelog.ok) return changelog;
      // Of a changelog that was replaced since they say nothing.
      const uuid = changelog.value?.metadata["table-uuid"];
      if (uuid !== summary["lakesync.changes-uuid"]) return ok(undefined);
      return ok({
        table,
        live,
        hidden: metadata.refs?.[HIDDEN_BRANCH]?.["snapshot-id"],
        watermark: { epoch, seq },
        changes: BigInt(changes),
      });
    }
    return ok(undefined);
  };
}
