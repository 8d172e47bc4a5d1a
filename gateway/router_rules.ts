import { isRuleJoin, LakeSyncError, type RuleBucket, type Rules } from "@lakesync/core";
import type { Shards } from "./router_shards.ts";

/**
 * The part of some rules that is about one shard's tables. A bucket without any of them is left out;
 * a shard whose buckets all are shows nothing.
 */
export function rulesOf(rules: Rules, shards: Shards, index: number): Rules {
  const part = (buckets: readonly RuleBucket[]): RuleBucket[] =>
    buckets.flatMap((bucket) => {
      const tables = shards.tablesOf(index, bucket.tables);
      return tables.length === 0 ? [] : [{ ...bucket, tables }];
    });
  return {
    version: rules.version,
    buckets: part(rules.buckets),
    ...(rules.write !== undefined && { write: part(rules.write) }),
  };
}

/** Why a router cannot hold these rules: a filter looks into another shard's table. */
export function crossShardFault(rules: Rules, shards: Shards): LakeSyncError | undefined {
  for (const [section, buckets] of Object.entries({ buckets: rules.buckets, write: rules.write })) {
    for (const [b, { tables, filters }] of (buckets ?? []).entries()) {
      for (const [f, filter] of filters.entries()) {
        if (!isRuleJoin(filter)) continue;
        const home = shards.indexOf(filter.table);
        const away = tables.find((table) => shards.indexOf(table) !== home);
        if (away === undefined) continue;
        const path = `${section}[${b}].filters[${f}].table`;
        return new LakeSyncError(
          "VALIDATION_ERROR",
          `${path}: "${filter.table}" is in another shard than "${away}", put both into one`,
          { details: { path } },
        );
      }
    }
  }
  return undefined;
}
