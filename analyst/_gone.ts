import type { LakeFile } from "@lakesync/core";
import type { OpenFiles } from "./_duckdb.ts";
import type { Session } from "./_session.ts";
import { name } from "./_sql.ts";

const CHUNK_ROWS = 2048;

const COLUMNS = [{ name: "#file", type: "VARCHAR" }, { name: "#place", type: "BIGINT" }] as const;

/**
 * Fills a TEMP table with the places of rows that are gone: columns `#file`, what stands for it,
 * and `#place`. Throws a `LakeSyncError`.
 *
 * @returns Whether there is any; without there is no table.
 */
export async function loadGone(
  session: Session,
  { table, files, open, signal }: {
    table: string;
    files: readonly LakeFile[];
    open: OpenFiles;
    signal: AbortSignal | undefined;
  },
): Promise<boolean> {
  const some = files.filter(({ gone }) => gone !== undefined);
  if (some.length === 0) return false;
  const list = COLUMNS.map((column) => `${name(column.name)} ${column.type}`);
  await session.run((connection) => connection.run(`CREATE TEMP TABLE ${name(table)} (${list})`));
  for (const file of some) {
    const places = await file.gone!(signal === undefined ? {} : { signal });
    if (!places.ok) throw places.error;
    const path = open.place(file);
    for (let start = 0; start < places.value.length; start += CHUNK_ROWS) {
      const some = places.value.slice(start, start + CHUNK_ROWS);
      const cells = [some.map(() => path), some.map(BigInt)];
      const rows = { columns: COLUMNS, count: some.length, cells };
      await session.run((connection) => connection.append(table, rows));
    }
  }
  return true;
}
