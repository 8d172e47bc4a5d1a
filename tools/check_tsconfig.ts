/** Holds `tsconfig.json`, which Bun and editors read, to what the `deno.json` files say. */
import { join } from "node:path";
import { readConfig, readPackages, ROOT } from "./_workspace.ts";

/** How `tsconfig.json` differs from the entry points, aliases and options of the workspace. */
export async function tsconfigFaults(): Promise<string[]> {
  const { imports = {}, compilerOptions = {} } = await readConfig(".");
  const paths = new Map<string, string[]>();
  for (const { name, entries } of await readPackages()) {
    for (const [path, file] of entries) paths.set(name + path, [`./${file}`]);
  }
  for (const [alias, target] of Object.entries(imports)) {
    if (target.startsWith("./")) paths.set(alias, [target]);
  }
  const text = await Deno.readTextFile(join(ROOT, "tsconfig.json"));
  const { compilerOptions: actual } = JSON.parse(text) as {
    compilerOptions: Record<string, unknown> & { paths: Record<string, string[]> };
  };
  const unlike = differences('"paths"', paths, new Map(Object.entries(actual.paths)));
  for (const [name, value] of Object.entries(compilerOptions)) {
    // Deno's names are none that other compilers know.
    if (name === "lib" || actual[name] === value) continue;
    unlike.push(`"compilerOptions" must have "${name}": ${JSON.stringify(value)}, as deno.json`);
  }
  return unlike.map((fault) => `tsconfig.json: ${fault}`);
}

/** A fault for each key that has another value than expected, or none, or should not be there. */
export function differences(
  name: string,
  expected: ReadonlyMap<string, unknown>,
  actual: ReadonlyMap<string, unknown>,
): string[] {
  const faults: string[] = [];
  for (const [key, value] of expected) {
    const text = JSON.stringify(value);
    if (JSON.stringify(actual.get(key)) !== text) {
      faults.push(`${name} must have "${key}": ${text}`);
    }
  }
  for (const key of actual.keys()) {
    if (!expected.has(key)) faults.push(`${name} has "${key}", which no deno.json exports`);
  }
  return faults;
}
