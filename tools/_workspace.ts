import { fileURLToPath } from "node:url";
import { join } from "node:path";

/** The folder of the repository, without a slash at its end. */
export const ROOT: string = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** A package of the workspace. */
export interface Package {
  /** Its folder, from the root and with slashes; "." for the root package. */
  folder: string;
  name: string;
  /** False for one that says `"publish": false`. */
  published: boolean;
  /** Its entry points by the path that follows its name ("" or "/x"), as files from the root. */
  entries: ReadonlyMap<string, string>;
}

interface Config {
  name: string;
  workspace?: string[];
  publish?: unknown;
  exports?: string | Record<string, string>;
  imports?: Record<string, string>;
  compilerOptions?: Record<string, unknown>;
}

/** The `deno.json` of a folder, from the root. */
export async function readConfig(folder: string): Promise<Config> {
  return JSON.parse(await Deno.readTextFile(join(ROOT, folder, "deno.json"))) as Config;
}

/** All packages, the root's first. */
export async function readPackages(): Promise<Package[]> {
  const { workspace = [] } = await readConfig(".");
  const folders = [".", ...workspace.map((folder) => folder.replace(/^\.\//, ""))];
  return await Promise.all(folders.map(async (folder) => {
    const { name, publish, exports = {} } = await readConfig(folder);
    const list = typeof exports === "string" ? { ".": exports } : exports;
    const prefix = folder === "." ? "" : `${folder}/`;
    const entries = Object.entries(list).map(([key, file]): [string, string] => [
      key.slice(1),
      prefix + file.replace(/^\.\//, ""),
    ]);
    return { folder, name, published: publish !== false, entries: new Map(entries) };
  }));
}

/** All files of the workspace that are code or text of ours, from the root and with slashes. */
export async function listFiles(folder: string = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    if (name.startsWith(".") || name === "node_modules") continue;
    const path = folder === "" ? name : `${folder}/${name}`;
    if (isDirectory) files.push(...await listFiles(path));
    else files.push(path);
  }
  return files.sort();
}
