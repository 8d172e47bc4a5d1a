/**
 * The lake: Apache Iceberg tables in an object store, written and found again without a catalogue.
 *
 * @module
 */
export { icebergDestination, type IcebergDestinationOptions } from "./destination.ts";
export { icebergLake, type IcebergLakeOptions } from "./lake.ts";
export { lakeColumnName } from "./lake_schema.ts";
