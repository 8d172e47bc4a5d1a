import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { unwrapOrThrow } from "@lakesync/core";
import { spawnScript, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { removeAbandonedScratch } from "./scratch.ts";

const script = new URL("./testdata/compact_and_hang.ts", import.meta.url);

/** The kinds of folders in a directory. */
async function kindsIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).map((name) => name.replace(/[^-]*$/, "")).sort();
}

test("what compactions that were killed have left is removed, what living ones need is not", async () => {
  await withTempDir(async (directory) => {
    const env = { TMPDIR: directory };
    const compact = async () => {
      const child = spawnScript(script, { env });
      const engine = await child.nextJson();
      assert(engine !== undefined, child.stderr);
      return { child, engine };
    };
    const { child: dying, engine } = await compact();
    const kinds = ["lakesync-changes-", ...engine === "duckdb" ? ["lakesync-compact-"] : []];
    assertEquals(await kindsIn(directory), kinds);
    // Nothing of it goes while it lives.
    assertEquals(unwrapOrThrow(await removeAbandonedScratch({ directory })), []);
    await dying.kill("SIGKILL");
    const left = (await readdir(directory)).map((name) => join(directory, name)).sort();
    const { child: living } = await compact();
    assertEquals((await kindsIn(directory)).length, 2 * kinds.length);

    const removed = unwrapOrThrow(await removeAbandonedScratch({ directory }));
    assertEquals([...removed].sort(), left);
    assertEquals(await kindsIn(directory), kinds);
    assertEquals(unwrapOrThrow(await removeAbandonedScratch({ directory })), []);
    await living.kill("SIGKILL");
    unwrapOrThrow(await removeAbandonedScratch({ directory }));
    assertEquals(await readdir(directory), []);
  });
});

test("a folder that is only just being made, and those of others, stay", async () => {
  await withTempDir(async (directory) => {
    const names = ["lakesync-changes-abc", "lakesync-compact-abc", "lakesync-other", "somebody"];
    for (const name of names) await mkdir(join(directory, name));
    await mkdir(join(directory, "somebody", "owner"));
    assertEquals(unwrapOrThrow(await removeAbandonedScratch({ directory })), []);
    assertEquals((await readdir(directory)).sort(), names);
  });
});

test("a place for temporary files that cannot be read is told of", async () => {
  await withTempDir(async (directory) => {
    const removed = await removeAbandonedScratch({ directory: join(directory, "none") });
    assertEquals(removed.ok || removed.error.code, "STORAGE_ERROR");
  });
});
