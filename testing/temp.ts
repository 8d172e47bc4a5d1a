import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs `fn` with the absolute path of a new empty directory and removes the directory with all
 * that is in it afterwards, also when `fn` throws.
 *
 * @param fn What to do in the directory.
 * @returns What `fn` returned.
 */
export async function withTempDir<T>(fn: (path: string) => T | Promise<T>): Promise<T> {
  // The real path: some systems' temporary directory is a link, and paths are compared in tests.
  const path = await realpath(await mkdtemp(join(tmpdir(), "lakesync-")));
  try {
    return await fn(path);
  } finally {
    await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
}
