/**
 * The benchmarks. Not published; `deno task bench` runs them.
 *
 * @module
 */
export { BENCHMARKS } from "./all.ts";
export type { Benchmark, BenchmarkOptions, Figure, Spread, Target } from "./_harness.ts";
