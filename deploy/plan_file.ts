import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { err, LakeSyncError, ok, type Result, toLakeSyncError } from "@lakesync/core";
import type { Declared } from "./plan.ts";

function pathOf(data: string): string {
  return join(data, "declared.json");
}

/**
 * Keeps what a server was started with.
 *
 * @param data The server's data directory.
 * @param declared What it was.
 */
export async function writeDeclared(data: string, declared: Declared): Promise<Result<void>> {
  const path = pathOf(data);
  try {
    await mkdir(data, { recursive: true });
    await writeFile(`${path}.new`, JSON.stringify(declared));
    await rename(`${path}.new`, path);
    return ok(undefined);
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "STORAGE_ERROR"));
  }
}

/**
 * Reads what a server was last started with.
 *
 * @param data Its data directory.
 * @returns It; undefined where none was; `CORRUPT` where the file is something else.
 */
export async function readDeclared(data: string): Promise<Result<Declared | undefined>> {
  const path = pathOf(data);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    const { code } = thrown as { code?: string };
    return code === "ENOENT" ? ok(undefined) : err(toLakeSyncError(thrown, "STORAGE_ERROR"));
  }
  try {
    const declared = JSON.parse(text) as Declared;
    const lists = [declared.tables, declared.shards, declared.routes, declared.flows];
    if (lists.every((list) => Array.isArray(list))) return ok(declared);
  } catch {
    // As what is no declaration.
  }
  return err(
    new LakeSyncError("CORRUPT", `"${path}" is not what a server has written: remove it`),
  );
}
