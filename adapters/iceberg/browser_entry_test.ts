import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { unwrapOrThrow } from "@lakesync/core";
import { fileObjectStore, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { compactTable } from "./compact.ts";
import { streamingEngine } from "./compact_fold.ts";
import { icebergDestination } from "./destination.ts";
import { icebergLake } from "./lake.ts";
import { entry, flush } from "./testdata/lake_rows.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What a bundler of an app makes of some code for a page. It fails where that needs a runtime's module. */
function bundle(contents: string): string {
  const { outputFiles } = esbuild.buildSync({
    stdin: { contents, resolveDir: ROOT },
    absWorkingDir: ROOT,
    tsconfig: `${ROOT}tsconfig.json`,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  return outputFiles[0]!.text;
}

test("an app's bundler finds all that a page needs to read a lake", () => {
  const text = bundle('export * from "@lakesync/adapter-iceberg/browser";');
  assert(text.includes("icebergLake"));
  assert(!text.includes("node:sqlite"), "what compaction needs is in it");
});

for (const deletes of ["positions", "equality", "vectors"] as const) {
  test(`where there is no zlib, it is found all the same which rows are gone: ${deletes}`, () =>
    withTempDir(async (directory) => {
      const store = fileObjectStore({ directory });
      const rows = Array.from(
        { length: 40 },
        (_, i) => entry(i + 1, { op: "INSERT", rowId: `r${i}` }),
      );
      await flush(icebergDestination({ store }), rows);
      const engine = streamingEngine();
      const compact = () => compactTable({ store, table: "todos", buckets: 1, deletes, engine });
      unwrapOrThrow(await compact());
      const gone = rows.slice(3, 6).map(({ seq, delta: { rowId } }) =>
        entry(40 + seq, { op: "DELETE", rowId, columns: [] })
      );
      await flush(icebergDestination({ store }), gone, { from: { epoch: "e", seq: 40 } });
      unwrapOrThrow(await compact());
      const { files } = unwrapOrThrow(await icebergLake({ store }).scan("todos"));
      const expected = await Promise.all(
        files.map(async (file) => file.gone && unwrapOrThrow(await file.gone()).toSorted()),
      );
      assertEquals(expected.flat().filter((place) => place !== undefined).length, 3);

      // A page has no `process`: this is what a page would run, on the lake's own files.
      const text = bundle('export { icebergLake } from "@lakesync/adapter-iceberg/browser";');
      const inPage = text.replace('Reflect.get(globalThis, "process")', "undefined");
      assert(inPage !== text);
      const path = join(directory, "page.mjs");
      await writeFile(path, inPage);
      const module = await import(pathToFileURL(path).href) as { icebergLake: typeof icebergLake };
      const scan = unwrapOrThrow(await module.icebergLake({ store }).scan("todos"));
      const found = await Promise.all(
        scan.files.map(async (file) => file.gone && unwrapOrThrow(await file.gone()).toSorted()),
      );
      assertEquals(found, expected);
    }));
}
