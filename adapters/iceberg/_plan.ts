import {
  err,
  type FlushTable,
  LakeSyncError,
  ok,
  type Result,
  type Watermark,
} from "@lakesync/core";
import { evolveSchemaPlan, newSchemaPlan, type SchemaPlan } from "./lake_schema.ts";
import { currentFields, currentSnapshot, sameWatermark, watermarkOf } from "./metadata.ts";
import { changesTable } from "./snapshot.ts";
import { presentSchema, type TableVersion } from "./table.ts";

/** How far a table is; `CONFLICT` where it holds data and does not say. */
export function progress(
  version: TableVersion | undefined,
  table: string,
): Result<Watermark | undefined> {
  if (version === undefined) return ok(undefined);
  const watermark = watermarkOf(version.metadata);
  if (watermark !== undefined || currentSnapshot(version.metadata) === undefined) {
    return ok(watermark);
  }
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot tell how far "${table}" is: none of its snapshots has a watermark; roll it back to one of LakeSync's or move the table away`,
    ),
  );
}

/** The schema to write a table's part of a batch by. */
export function planFor(version: TableVersion | undefined, part: FlushTable): Result<SchemaPlan> {
  if (version === undefined) return ok(newSchemaPlan(part.schema));
  const { metadata } = version;
  const schema = presentSchema(changesTable(part.schema), metadata);
  if (!schema.ok) return schema;
  return evolveSchemaPlan({
    fields: currentFields(metadata),
    schema: schema.value,
    lastColumnId: metadata["last-column-id"],
  }, part.schema);
}

/** Whether files that were made for another version of a table can be committed on this one. */
export function rebase(
  version: TableVersion | undefined,
  { part, plan, table, location }: {
    part: FlushTable;
    plan: SchemaPlan;
    table: string;
    location: string;
  },
): Result<
  { status: "fits"; base: TableVersion } | { status: "moved"; watermark: Watermark | undefined }
> {
  const watermark = progress(version, table);
  if (!watermark.ok) return watermark;
  const moved = { status: "moved", watermark: watermark.value } as const;
  if (version === undefined || !sameWatermark(watermark.value, part.from)) return ok(moved);
  // Somebody removed the table and made it again elsewhere.
  if (version.metadata.location !== location) return ok(moved);
  const now = planFor(version, part);
  if (!now.ok) return now;
  // Another schema may have given the files' field ids to other columns.
  const same = JSON.stringify(now.value) === JSON.stringify(plan);
  return ok(same ? { status: "fits", base: version } : moved);
}
