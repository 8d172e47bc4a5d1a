import { type SqlDatabase, unwrapOrThrow } from "@lakesync/core";
import { openWasmSqlite, type WasmStorage } from "../_wasm_open.ts";

/** What a writer is told: where to write. */
export interface WriterOrder {
  readonly name: string;
  readonly storage: WasmStorage;
  /** How many of the last transactions are kept, so that a look at them does not take ever longer; all by default. */
  readonly keep?: number;
}

/** What a writer tells: first what it found, then each transaction that was answered. */
export type WriterReport =
  | { readonly found: number; readonly faults: readonly string[] }
  | { readonly confirmed: number }
  | { readonly failed: string; readonly code: string };

/** Transaction `i` writes so many rows. */
function rowsOf(i: number): number {
  return 1 + i % 7;
}

/** The last transaction that is there; those that are kept up to it must be there, and be whole. */
async function look(
  database: SqlDatabase,
  keep: number,
): Promise<{ found: number; faults: string[] }> {
  const faults: string[] = [];
  const rows = unwrapOrThrow(
    await database.query(
      "SELECT i, count(*) AS n, sum(length(text)) AS l FROM t GROUP BY i ORDER BY i",
    ),
  );
  const found = Number(rows.at(-1)?.i ?? 0);
  const first = Math.max(1, found - keep + 1);
  if (rows.length > 0 && rows[0]!.i !== first) faults.push(`transaction ${first} is not the first`);
  for (const [at, { i, n, l }] of rows.entries()) {
    if (i !== first + at) faults.push(`transaction ${first + at} is missing`);
    const count = rowsOf(Number(i));
    if (n !== count || l !== count * 500) faults.push(`transaction ${i} is not whole`);
  }
  const checked = unwrapOrThrow(await database.transaction((tx) => tx.all("PRAGMA quick_check")));
  if (checked[0]?.quick_check !== "ok") faults.push(JSON.stringify(checked));
  return { found, faults };
}

/** Deno's types know no worker's scope. */
const scope = globalThis as unknown as Worker;
const tell = (report: WriterReport): void => scope.postMessage(report);

let database: SqlDatabase | undefined;

async function open({ name, storage }: WriterOrder): Promise<SqlDatabase> {
  const { database } = unwrapOrThrow(await openWasmSqlite({ name, storage }));
  unwrapOrThrow(
    await database.transaction(async (tx) => {
      await tx.run(
        "CREATE TABLE IF NOT EXISTS t (i INTEGER, k INTEGER, text TEXT, PRIMARY KEY (i, k))",
      );
      await tx.run("CREATE INDEX IF NOT EXISTS t_text ON t (text)");
    }),
  );
  return database;
}

/** Lets the worker's other tasks have their turn: it is only between two of them that it can end. */
function turn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

scope.onmessage = ({ data: order }: MessageEvent<WriterOrder>) => {
  writeOn(order).catch(({ message, code }) => tell({ failed: message, code }));
};

async function writeOn(order: WriterOrder): Promise<void> {
  database ??= await open(order);
  const { keep = Infinity } = order;
  const state = await look(database, keep);
  tell(state);
  for (let i = state.found + 1;; i++) {
    const rows = Array.from(
      { length: rowsOf(i) },
      (_, k) => [i, k, `${i}-${k}-`.padEnd(500, "x")],
    );
    const written = await database.transaction(async (tx) => {
      await tx.runMany("INSERT INTO t VALUES (?, ?, ?)", rows);
      if (i > keep) await tx.run("DELETE FROM t WHERE i <= ?", [i - keep]);
    });
    if (!written.ok) return tell({ failed: written.error.message, code: written.error.code });
    tell({ confirmed: i });
    await turn();
  }
}
