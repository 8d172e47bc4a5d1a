import { type SqlDatabase, unwrapOrThrow } from "@lakesync/core";
import { openWasmSqlite, type WasmStorage } from "../_wasm_open.ts";

/** What a writer is told: where to write. */
export interface WriterOrder {
  readonly name: string;
  readonly storage: WasmStorage;
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

/** The last transaction that is there; all up to it must be there, and be whole. */
async function look(database: SqlDatabase): Promise<{ found: number; faults: string[] }> {
  const faults: string[] = [];
  const rows = unwrapOrThrow(
    await database.query(
      "SELECT i, count(*) AS n, sum(length(text)) AS l FROM t GROUP BY i ORDER BY i",
    ),
  );
  for (const [at, { i, n, l }] of rows.entries()) {
    if (i !== at + 1) faults.push(`transaction ${at + 1} is missing`);
    const count = rowsOf(Number(i));
    if (n !== count || l !== count * 500) faults.push(`transaction ${i} is not whole`);
  }
  const checked = unwrapOrThrow(await database.transaction((tx) => tx.all("PRAGMA quick_check")));
  if (checked[0]?.quick_check !== "ok") faults.push(JSON.stringify(checked));
  return { found: rows.length, faults };
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
  const state = await look(database);
  tell(state);
  for (let i = state.found + 1;; i++) {
    const written = await database.transaction((tx) =>
      tx.runMany(
        "INSERT INTO t VALUES (?, ?, ?)",
        Array.from({ length: rowsOf(i) }, (_, k) => [i, k, `${i}-${k}-`.padEnd(500, "x")]),
      )
    );
    if (!written.ok) return tell({ failed: written.error.message, code: written.error.code });
    tell({ confirmed: i });
    await turn();
  }
}
