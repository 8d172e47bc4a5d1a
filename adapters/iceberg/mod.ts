/**
 * The lake: Apache Iceberg tables in an object store, written and found again without a catalogue.
 *
 * @module
 */
export type { Catalogue, CommitOutcome } from "./catalogue.ts";
export { filesCatalogue, type LakePlace } from "./catalogue_files.ts";
export { icebergDestination, type IcebergDestinationOptions } from "./destination.ts";
export { icebergLake, type IcebergLakeOptions } from "./lake.ts";
export { lakeColumnName } from "./lake_schema.ts";
