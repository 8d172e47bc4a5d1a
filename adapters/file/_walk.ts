import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "./_durable.ts";

const SEGMENT = /^[A-Za-z0-9._=%-]+$/;

/**
 * The keys of the files below a directory in the order of their bytes, reading only directories
 * that can hold a key with the prefix and above `after`.
 */
export async function* walkKeys(
  root: string,
  { prefix, after }: { prefix: string; after: string | undefined },
): AsyncGenerator<string> {
  // The deepest folder that every key with the prefix is in, with its slash.
  yield* walk(prefix.slice(0, prefix.lastIndexOf("/") + 1));

  async function* walk(folder: string): AsyncGenerator<string> {
    for (const name of await namesIn(join(root, folder))) {
      const key = folder + name;
      if (!name.endsWith("/")) {
        if (key.startsWith(prefix) && (after === undefined || key > after)) yield key;
        continue;
      }
      const fits = key.startsWith(prefix) || prefix.startsWith(key);
      // Every key in a folder is above the folder's own name with its slash.
      const above = after === undefined || key > after || after.startsWith(key);
      if (fits && above) yield* walk(key);
    }
  }
}

/** The names in a directory in the order of the keys below them; folders end in a slash. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter(({ name }) => SEGMENT.test(name))
      .map((entry) => entry.isDirectory() ? `${entry.name}/` : entry.name)
      .sort();
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw thrown;
  }
}
