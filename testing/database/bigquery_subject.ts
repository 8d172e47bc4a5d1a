import { type SqlAdapter, sqlAdapter } from "@lakesync/adapter-database";
import { type BigQueryOptions, bigqueryServer } from "@lakesync/adapter-bigquery";
import { type Scheduler, type SqlResultRow, unwrapOrThrow } from "@lakesync/core";
import type { BigQueryEmulator } from "../bigquery_emulator.ts";

/** Goes on at once, and never runs out of time. */
export const impatient: Scheduler = {
  delay: (ms, { signal } = {}) =>
    new Promise((resolve) => {
      if (ms < 30_000) setImmediate(resolve);
      else signal?.addEventListener("abort", () => resolve());
    }),
};

/** Options of an adapter to a dataset of an emulator. */
export function optionsFor(
  server: BigQueryEmulator,
  options: Partial<BigQueryOptions> & { readonly dataset: string },
): BigQueryOptions {
  const { endpoint, credentials } = server;
  return { endpoint, credentials, attempts: 3, jobMs: Infinity, scheduler: impatient, ...options };
}

/** An adapter to a dataset of an emulator. */
export async function openAdapter(
  server: BigQueryEmulator,
  options: Partial<BigQueryOptions> & { readonly dataset: string },
): Promise<SqlAdapter> {
  const database = unwrapOrThrow(await bigqueryServer(optionsFor(server, options)));
  return sqlAdapter({ server: database, name: "bq" });
}

/** Asks a dataset of an emulator; gives the rows of each statement. */
export async function askDataset(
  server: BigQueryEmulator,
  options: { readonly dataset: string; readonly texts: readonly string[] },
): Promise<readonly (readonly SqlResultRow[])[]> {
  const { dataset, texts } = options;
  const database = unwrapOrThrow(await bigqueryServer(optionsFor(server, { dataset })));
  const answers = await database.transaction(async (work) => {
    const all: (readonly SqlResultRow[])[] = [];
    for (const text of texts) all.push(await work.run({ text, parameters: [] }));
    return all;
  });
  await database.close();
  return unwrapOrThrow(answers);
}
