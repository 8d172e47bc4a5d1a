import type { Benchmark } from "./_harness.ts";
import { client } from "./client.ts";
import { firstSync } from "./first_sync.ts";
import { flush } from "./flush.ts";
import { merge } from "./merge.ts";
import { pull } from "./pull.ts";
import { pushHttp } from "./push_http.ts";
import { pushStore } from "./push_store.ts";

/** All benchmarks, in the order in which they run. */
export const BENCHMARKS: readonly Benchmark[] = [
  merge,
  pushStore,
  pushHttp,
  pull,
  firstSync,
  client,
  flush,
];
