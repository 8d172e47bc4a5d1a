import { type FileHandle, link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

/** The code that a failing system call carries: `ENOENT`, `EEXIST`, `ENOSPC` … */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code: unknown = Reflect.get(thrown, "code");
  return typeof code === "string" ? code : undefined;
}

/** Removes a file; one that is not there counts as removed. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code !== "ENOENT" && code !== "ENOTDIR") throw thrown;
  }
}

/** Makes a directory and those above it; their names survive a power cut. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made));
  }
}

/** Brings the names in a directory to stable storage. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } catch (thrown) {
    // Some file systems keep no names back and know no sync of directories.
    const code = systemCode(thrown);
    if (code !== "EINVAL" && code !== "EISDIR" && code !== "EPERM") throw thrown;
  } finally {
    await handle.close();
  }
}

/** How {@linkcode writeDurably} puts a file in its place. */
export interface WriteDurablyOptions {
  /** Where the file is written first; on the same file system. */
  readonly temporary: string;
  /** Fail with `EEXIST` where the file is there. */
  readonly ifAbsent: boolean;
  /** Called just before the file gets its name; what it throws leaves nothing. */
  readonly beforeCommit: () => void;
}

/**
 * Writes a file whole or not at all: to a temporary file, to stable storage, and then under its
 * name in one system call.
 */
export async function writeDurably(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  options: WriteDurablyOptions,
): Promise<void> {
  const { temporary, ifAbsent, beforeCommit } = options;
  await makeDirectory(dirname(temporary));
  const handle = await open(temporary, "wx");
  try {
    await writeAll(handle, chunks);
    beforeCommit();
    await makeDirectory(dirname(path));
    // link() fails where the name is taken; rename() replaces.
    if (ifAbsent) await link(temporary, path);
    else await rename(temporary, path);
  } catch (thrown) {
    await removeFile(temporary).catch(() => {});
    throw thrown;
  }
  if (ifAbsent) await removeFile(temporary).catch(() => {});
  await syncDirectory(dirname(path));
}

async function writeAll(handle: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const chunk of chunks) {
      let written = 0;
      while (written < chunk.length) {
        const { bytesWritten } = await handle.write(chunk, written, chunk.length - written);
        written += bytesWritten;
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Where the temporary files of a store lie: `~` is in no key, so no object can have such a name. */
export function temporaryDirectory(directory: string): string {
  return join(directory, "~tmp");
}
