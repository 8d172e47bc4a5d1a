/**
 * LakeSync's tables as collections of [TanStack DB](https://tanstack.com/db).
 *
 * @module
 */
export {
  type CollectionFeed,
  type LakeSyncCollectionConfig,
  type LakeSyncCollectionOptions,
  lakeSyncCollectionOptions,
  lakeSyncMutationFn,
  type SaveChanges,
} from "./collection.ts";
export type { CollectionChange, LakeSyncCollectionUtils } from "./_commit.ts";
