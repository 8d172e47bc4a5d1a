import { httpObjectStore, offlineObjectStore } from "@lakesync/adapter-http";
import { filesCatalogue, icebergLake } from "@lakesync/adapter-iceberg/browser";
import {
  type Analyst,
  openBrowserAnalyst,
  pullFromGateway,
  type QueryRow,
} from "@lakesync/analyst/browser";
import { ok, unwrapOrThrow } from "@lakesync/core";

const DUCKDB = "/npm/@duckdb/duckdb-wasm/dist";

/** How {@linkcode openOverHttp} opens a lake. */
export interface OverHttpOptions {
  readonly tables: readonly string[];
  readonly maxBytes?: number;
  /** A gateway that is asked for what is not flushed yet. */
  readonly pull?: { readonly url: string; readonly clientId: string; readonly token: string };
}

/** Opens an analyst over the lake that this page's server has under `/lake`, for offline use. */
export async function openOverHttp(options: OverHttpOptions): Promise<Analyst> {
  const { tables, pull, ...kept } = options;
  const store = offlineObjectStore(httpObjectStore({ url: `${location.origin}/lake` }), kept);
  const catalogue = { ...filesCatalogue(store), list: () => Promise.resolve(ok(tables)) };
  return unwrapOrThrow(
    await openBrowserAnalyst({
      lake: icebergLake({ catalogue }),
      store,
      worker: `${location.origin}${DUCKDB}/duckdb-browser-eh.worker.js`,
      wasm: `${location.origin}${DUCKDB}/duckdb-eh.wasm`,
      // DuckDB keeps no file, so that what is asked again is read again.
      tableBytes: 0,
      ...(pull !== undefined && {
        pulled: pullFromGateway({ ...pull, getToken: () => pull.token }),
      }),
    }),
  );
}

/** A query's rows, or the code of its error. */
export async function ask(analyst: Analyst, sql: string): Promise<readonly QueryRow[] | string> {
  const answer = await analyst.query(sql);
  return answer.ok ? answer.value.rows : answer.error.code;
}
