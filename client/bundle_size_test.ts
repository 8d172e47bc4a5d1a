import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The most that a browser has to load before a client runs, without SQLite: bytes, gzipped. */
const LIMIT = 45 * 1024;

/** What an app's bundler makes of `createClient` and both transports, by output. */
function bundle(): esbuild.BuildResult<{ metafile: true; write: false }> {
  return esbuild.buildSync({
    stdin: {
      contents: `
        import { createClient, httpTransport, webSocketTransport } from "@lakesync/client";
        globalThis.app = { createClient, httpTransport, webSocketTransport };`,
      resolveDir: ROOT,
    },
    absWorkingDir: ROOT,
    tsconfig: `${ROOT}tsconfig.json`,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    splitting: true,
    target: "es2022",
    outdir: "out",
    external: ["node:*"],
    metafile: true,
    write: false,
    logLevel: "silent",
  });
}

/** The outputs that are loaded at once: the entry, and what it imports and that in turn. */
function loadedAtOnce({ outputs }: esbuild.Metafile): Set<string> {
  const entry = Object.keys(outputs).find((path) => outputs[path]!.entryPoint === "<stdin>");
  assert(entry !== undefined);
  const loaded = new Set([entry]);
  for (const path of loaded) {
    for (const { kind, path: imported } of outputs[path]!.imports) {
      if (kind === "import-statement") loaded.add(imported);
    }
  }
  return loaded;
}

test("createClient with both transports is at most 45 KB gzipped in a browser, without SQLite", () => {
  const { metafile, outputFiles } = bundle();
  const loaded = loadedAtOnce(metafile);
  let bytes = 0;
  for (const { path, contents } of outputFiles) {
    const output = path.slice(ROOT.length).replaceAll("\\", "/");
    if (loaded.has(output)) bytes += gzipSync(contents).length;
  }
  assert(bytes > 10_000 && bytes <= LIMIT, `it is ${bytes} bytes, at most ${LIMIT} are allowed`);
  const inputs = [...loaded].flatMap((path) =>
    Object.entries(metafile.outputs[path]!.inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([input]) => input)
  );
  const foreign = /duckdb|arrow|parquet|protobuf|kysely|sqlite-wasm/;
  assertEquals(inputs.filter((input) => foreign.test(input)), []);
});
