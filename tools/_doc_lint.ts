import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runDeno } from "./_run.ts";
import { ROOT } from "./_workspace.ts";

/**
 * The faults that `deno doc --lint` finds in what modules export. A type that an npm package declares
 * is public there: the lint takes it for a private one, because that package is none of the modules.
 *
 * @param files Modules, from the root.
 * @returns What the lint says, without those.
 */
export async function docLint(files: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runDeno(["doc", "--lint", ...files]);
  if (code === 0) return "";
  const faults: string[] = [];
  // deno-lint-ignore no-control-regex -- the colours of a terminal
  const text = (stdout + stderr).replaceAll(/\u001b\[[\d;]*m/g, "");
  const [, ...blocks] = text.split(/^(?=error\[)/m);
  for (const block of blocks) if (!await isForeign(block)) faults.push(block);
  return blocks.length === 0 ? text : faults.join("");
}

/** Whether a fault is a reference to a type that its file imports from an npm package. */
async function isForeign(fault: string): Promise<boolean> {
  const [, name] = /^error\[private-type-ref\].* references private type '(\w+)'/.exec(fault) ?? [];
  const [, place] = /--> (.*?):\d+:\d+$/m.exec(fault) ?? [];
  if (name === undefined || place === undefined) return false;
  const file = place.startsWith("file:")
    ? fileURLToPath(place)
    : join(ROOT, place.replace(ROOT, ""));
  const code = await Deno.readTextFile(file);
  const imports = code.matchAll(/^import (?:type )?\{([^}]*)\} from "([^"]+)";/gm);
  return [...imports].some(([, names, from]) =>
    !from!.startsWith(".") && !from!.startsWith("@lakesync/") &&
    new RegExp(`\\b${name}\\b`).test(names!)
  );
}
