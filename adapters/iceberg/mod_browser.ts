/**
 * The part of the lake that a page can use: reading its tables, without a catalogue.
 *
 * @module
 */
export type { Catalogue, CommitOutcome } from "./catalogue.ts";
export { filesCatalogue, type LakePlace } from "./catalogue_files.ts";
export { icebergLake, type IcebergLakeOptions } from "./lake.ts";
export type { Json64 } from "./json64.ts";
export type { IcebergField } from "./lake_schema.ts";
export type {
  MetadataLogEntry,
  PartitionField,
  PartitionSpec,
  SchemaEntry,
  Snapshot,
  SnapshotLogEntry,
  SnapshotRef,
  TableMetadata,
} from "./metadata.ts";
export type { TableVersion } from "./table.ts";
