import type { Benchmark } from "./_harness.ts";
import { browser, hasBrowser } from "./browser.ts";
import { checkpointMemory } from "./checkpoint_memory.ts";
import { client } from "./client.ts";
import { copy } from "./copy.ts";
import { databases, hasDatabase } from "./databases.ts";
import { diff } from "./diff.ts";
import { compact } from "./compact.ts";
import { firstSync } from "./first_sync.ts";
import { firstSyncMemory } from "./first_sync_memory.ts";
import { flush } from "./flush.ts";
import { idleSockets } from "./idle_sockets.ts";
import { live } from "./live.ts";
import { merge } from "./merge.ts";
import { oneChange } from "./one_change.ts";
import { pull } from "./pull.ts";
import { pushHttp } from "./push_http.ts";
import { kvMissing, pushKv } from "./push_kv.ts";
import { postgresMissing, pushPostgres } from "./push_postgres.ts";
import { pushStore } from "./push_store.ts";
import { rulesPull } from "./rules_pull.ts";
import { upkeep } from "./upkeep.ts";
import { unionRead } from "./union_read.ts";

/** All benchmarks, in the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [
  merge,
  pushStore,
  // Where the machine has a server.
  ...(postgresMissing === undefined ? [pushPostgres] : []),
  ...(kvMissing === undefined ? [pushKv] : []),
  ...(hasDatabase ? [databases, copy, diff] : []),
  pushHttp,
  pull,
  rulesPull,
  firstSync,
  checkpointMemory,
  firstSyncMemory,
  client,
  ...(hasBrowser ? [browser] : []),
  oneChange,
  live,
  idleSockets,
  flush,
  unionRead,
  compact,
  upkeep,
];
