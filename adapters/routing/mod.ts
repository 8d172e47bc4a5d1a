/**
 * Which tables go to which destination, and moving them from one to another.
 *
 * @module
 */
export { compositeDestination, type CompositeOptions, type Route } from "./composite.ts";
export {
  type LifecycleDatabase,
  lifecycleDatabase,
  type LifecycleOptions,
  type LifecycleReport,
} from "./lifecycle.ts";
export type { MovesStore } from "./_moves.ts";
export {
  migrate,
  type MigrateOptions,
  type MigrateProgress,
  type MigrateReport,
} from "./migrate.ts";
export { onlyTables, type OnlyTablesOptions } from "./only_tables.ts";
