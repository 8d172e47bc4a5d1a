/**
 * The ports: what other packages implement and meet in. Each comment states what always holds; the
 * conformance suites in `testing/` hold every implementation to it.
 */
export type * from "./ports/destination.ts";
export type * from "./ports/lake_reader.ts";
export type * from "./ports/log_store.ts";
export type * from "./ports/machine.ts";
export type * from "./ports/object_store.ts";
export type * from "./ports/source.ts";
export type * from "./ports/sql_database.ts";
export type * from "./ports/sync_transport.ts";
