import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { dirname, join, relative, resolve } from "node:path";
import { build, type BuildOptions, type Plugin } from "esbuild";

/** The repository's root, without a slash at its end. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** How {@linkcode bundle} makes a bundle. */
export interface BundleOptions {
  /**
   * Whether it is made small, as an app would do before it is published.
   *
   * @default {false}
   */
  minify?: boolean;
}

/** A bundle that cannot be made: esbuild's messages. */
export class BundleError extends Error {
  /** @param messages What esbuild says. */
  constructor(messages: string) {
    super(`Cannot bundle for the browser: ${messages}`);
    this.name = "BundleError";
  }
}

/**
 * Bundles a module of the repository, with all that it imports, into one ES module for browsers.
 *
 * `new URL("./x_browser.ts", import.meta.url)`, by which a module names its worker, becomes
 * `/x_browser.ts` with the path of that file from the root: who serves the bundle serves that one by
 * the same function.
 *
 * @param entry The module's path from the root.
 * @returns Its text. There is no source map: it would be three times as large, and each page of a test
 * loads it anew.
 */
export async function bundle(entry: string, options: BundleOptions = {}): Promise<string> {
  const { minify = false } = options;
  const settings: BuildOptions & { write: false } = {
    ...BROWSER,
    entryPoints: [join(ROOT, entry)],
    minify,
    define: {
      ...BROWSER.define,
      // What libraries do for those who develop, such as React's warnings, is looked at in tests.
      "process.env.NODE_ENV": minify ? '"production"' : '"development"',
    },
    write: false,
  };
  try {
    const { outputFiles } = await build(settings);
    return outputFiles[0]!.text;
  } catch (thrown) {
    throw new BundleError((thrown as Error).message);
  }
}

/** In tests the runtimes' own modules are stood in for by what browsers can run. */
const STAND_INS: ReadonlyMap<string, string> = new Map([
  ["@lakesync/testing", join(ROOT, "testing/browser/mod_browser.ts")],
  ["node:assert", "assert"],
  ["node:util", "util"],
  ["node:zlib", join(ROOT, "testing/browser/zlib_browser.ts")],
]);

/** Where `servePages` has SQLite's WebAssembly. */
const SQLITE_WASM = "/npm/@sqlite.org/sqlite-wasm/dist/sqlite3.wasm";

const WORKER = /new URL\(\s*"(\.{1,2}\/[^"]+_browser\.ts)",\s*import\.meta\.url,?\s*\)/g;

const workspace: Plugin = {
  name: "lakesync-workspace",
  setup({ onLoad, onResolve, resolve: find }) {
    onResolve(
      { filter: /^(@lakesync\/testing|node:(assert|util|zlib))$/ },
      ({ path, resolveDir }) => {
        const standIn = STAND_INS.get(path)!;
        return standIn.startsWith("/")
          ? { path: standIn }
          // With the slash it is the package, not the module of Node's of that name.
          : find(`${standIn}/`, { kind: "import-statement", resolveDir });
      },
    );
    // As apps' bundlers do, which copy the file and rewrite its address.
    onLoad({ filter: /@sqlite\.org\/sqlite-wasm\/dist\/index\.mjs$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      const contents = text.replaceAll(
        'new URL("sqlite3.wasm", import.meta.url)',
        `new URL("${SQLITE_WASM}", globalThis.location.origin)`,
      );
      return { contents, loader: "js" };
    });
    onLoad({ filter: /\.tsx?$/ }, async ({ path }) => {
      if (path.includes("/node_modules/")) return undefined;
      const text = await readFile(path, "utf8");
      const contents = text.replace(WORKER, (_, to: string) => {
        const file = relative(ROOT, resolve(dirname(path), to)).replaceAll("\\", "/");
        return `new URL("/${file}", globalThis.location.origin)`;
      });
      return { contents, loader: path.endsWith("x") ? "tsx" : "ts" };
    });
  },
};

const BROWSER: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  format: "esm",
  target: "es2024",
  platform: "browser",
  // The packages of the workspace by their names.
  tsconfig: join(ROOT, "tsconfig.json"),
  external: ["node:sqlite", "node:fs/promises"],
  define: {
    "process.env.NODE_DEBUG": '""',
    "process.stderr": "undefined",
  },
  jsx: "automatic",
  logLevel: "silent",
  plugins: [workspace],
};
