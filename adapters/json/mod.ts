/**
 * Flushed deltas as gzipped NDJSON, for those who want no Iceberg.
 *
 * @module
 */
export { jsonDestination, type JsonDestinationOptions } from "./json_destination.ts";
