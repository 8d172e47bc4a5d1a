/**
 * The lake: Apache Iceberg tables in an object store, in a REST catalogue
 * or without one.
 *
 * @module
 */
export type { Catalogue, CommitOutcome } from "./catalogue.ts";
export { filesCatalogue, type LakePlace } from "./catalogue_files.ts";
export { icebergDestination, type IcebergDestinationOptions } from "./destination.ts";
export type { AwsKeys, RestAuth } from "./rest_auth.ts";
export { restCatalogue, type RestCatalogueOptions } from "./rest_catalogue.ts";
export type { TablePlace } from "./rest_storage.ts";
export { icebergLake, type IcebergLakeOptions } from "./lake.ts";
export { lakeColumnName } from "./lake_schema.ts";
export { type CompactOutcome, compactTable, type CompactTableOptions } from "./compact.ts";
export { duckdbEngine, type DuckDbEngineOptions } from "./compact_duckdb.ts";
export { streamingEngine, type StreamingEngineOptions } from "./compact_fold.ts";
export type {
  CompactionEngine,
  CompactionJob,
  EngineFile,
  FoldedBucket,
  FoldedFile,
} from "./compact_engine.ts";
export type { ExpireOptions } from "./expire.ts";
export type { DataFile } from "./manifest.ts";
export type { EncodedFile } from "./parquet.ts";
export type { IcebergField, LakeField } from "./lake_schema.ts";
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
export type { Json64 } from "./json64.ts";
export type { TableVersion } from "./table.ts";
export type { DeletedRows, Positions } from "./state_deletes.ts";
export { removeAbandonedScratch, type RemoveAbandonedScratchOptions } from "./scratch.ts";
export {
  maintainLake,
  type MaintainLakeOptions,
  type MaintainOutcome,
  type MaintenanceLease,
  type MaintenanceStep,
} from "./maintain.ts";
