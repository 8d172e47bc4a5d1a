import type { LakeSyncError, ObjectStore, Result } from "@lakesync/core";
import type { TableMetadata } from "./metadata.ts";
import type { TableVersion } from "./table.ts";

/** What became of a {@linkcode Catalogue.commit}. */
export type CommitOutcome =
  /** It is part of the table's history; `version` has it. */
  | { readonly status: "committed"; readonly version: TableVersion }
  /**
   * It is not part of the table and never will be: somebody else committed on the same base. Load,
   * plan on what is there now, and commit again at once: the catalogue has waited already where that
   * is polite. What was written for this commit alone may be removed.
   */
  | { readonly status: "lost" }
  /** It is not part of the table and never will be, and to try again is of no use. */
  | { readonly status: "failed"; readonly error: LakeSyncError }
  /** It may be part of the table or become one: no file that it names may be removed. */
  | { readonly status: "unknown"; readonly error: LakeSyncError };

/**
 * Where tables have their names and their newest versions: `vN.metadata.json` beside the files
 * themselves, or a REST catalogue. A commit is a compare-and-set of a table's whole metadata, however
 * the catalogue is told: of all that commit on one base, at most one is committed.
 */
export interface Catalogue {
  /**
   * The tables' objects. A key is `<table>/<path below the table's location>`, wherever that is: what
   * `keyOf` makes of a URL in the metadata. Keys of no table may be refused with `NOT_FOUND`.
   */
  readonly store: ObjectStore;
  /** The names of the tables that there are, LakeSync's or not, sorted. */
  list(): Promise<Result<readonly string[]>>;
  /**
   * The newest version of a table.
   *
   * @param known A version that was seen before: it may spare most of the reading.
   * @returns Undefined where there is no such table; `CORRUPT` where it is damaged, `CONFLICT` where
   * LakeSync did not make it.
   */
  load(table: string, known?: TableVersion): Promise<Result<TableVersion | undefined>>;
  /**
   * A version to make the first commit on, of a table that is not there yet. Until then others see
   * no table, or an empty one. Where somebody made it meanwhile it is theirs that comes back.
   *
   * @param draft Schema, partitions, sort order, properties. Where the table lies, its uuid and its
   * ids are the catalogue's: plan by what comes back.
   */
  create(table: string, draft: TableMetadata): Promise<Result<TableVersion>>;
  /**
   * Makes `next` the newest version, where `base` still is.
   *
   * @param base A version from `load`, `create` or a commit.
   * @param next `base.metadata` with schemas, snapshots, refs and properties added, changed or
   * removed. Uuid, location and `metadata-log` are the catalogue's; what else differs is a
   * `TypeError`. Its current snapshot's id must be new where `base` has another one: a commit whose
   * answer was lost is found again by it.
   */
  commit(table: string, base: TableVersion, next: TableMetadata): Promise<CommitOutcome>;
}
