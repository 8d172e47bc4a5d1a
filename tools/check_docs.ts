/**
 * Holds every symbol that a package exports to what CONTRIBUTING asks of doc comments:
 *
 * - it has one;
 * - a function or class has a titled `@example` with a `ts` block (`deno test --doc` runs those);
 * - an optional field of an `XxxOptions` has a `@default`, `signal` apart.
 *
 * `deno run -A tools/check_docs.ts` checks all published packages and prints `path:line` of each
 * fault with what to do about it.
 */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { runDeno } from "./_run.ts";
import { readPackages, ROOT } from "./_workspace.ts";

// The parts of `deno doc --json`, version 2, that are looked at. Lines and columns count from 0.
interface JsDoc {
  doc?: string;
  tags?: { kind: string; doc?: string }[];
}
interface Documented {
  jsDoc?: JsDoc;
  location: { filename: string; line: number };
}
interface Declaration extends Documented {
  kind: string;
  declarationKind: string;
  def?: { properties?: (Documented & { name: string; optional?: boolean })[] };
}
interface DocJson {
  version: number;
  nodes: Record<string, { symbols: { name: string; declarations: Declaration[] }[] }>;
}

/**
 * The faults of the doc comments of what modules export.
 *
 * @param files Modules, absolute or from the root.
 * @returns `path:line message` for each fault, in order and without repetitions.
 */
export async function docFaults(files: readonly string[]): Promise<string[]> {
  if (files.length === 0) return [];
  const { code, stdout, stderr } = await runDeno(["doc", "--json", ...files]);
  if (code !== 0) return [`deno doc ended with code ${code}: ${stderr.trim()}`];
  const { version, nodes } = JSON.parse(stdout) as DocJson;
  if (version !== 2) throw new TypeError(`Cannot read deno doc --json: version ${version}, not 2`);
  const faults = Object.values(nodes).flatMap(({ symbols }) =>
    symbols.flatMap(({ name, declarations }) => symbolFaults(name, declarations))
  );
  return [...new Set(faults)].sort(byPlace);
}

function symbolFaults(name: string, all: readonly Declaration[]): string[] {
  // A reference stands for a symbol that another module of the same output documents.
  const declarations = all.filter(({ kind, declarationKind }) =>
    declarationKind === "export" && kind !== "reference"
  );
  const [first] = declarations;
  if (first === undefined) return [];
  const faults: string[] = [];
  // Overloads share one comment, and so do a type and a value of one name.
  if (!declarations.some(({ jsDoc }) => jsDoc?.doc?.trim())) {
    faults.push(`${place(first)} ${name} has no doc comment: say what goes in and what comes out`);
  }
  const runnable = declarations.find(({ kind }) => kind === "function" || kind === "class");
  if (runnable !== undefined) {
    const examples = declarations.flatMap(({ jsDoc }) => jsDoc?.tags ?? [])
      .filter(({ kind }) => kind === "example").map(({ doc }) => doc ?? "");
    if (examples.length === 0) {
      faults.push(
        `${place(runnable)} ${name} has no @example: add a titled one with a \`\`\`ts block`,
      );
    }
    for (const example of examples) {
      if (!/^```ts\b/m.test(example)) {
        faults.push(
          `${place(runnable)} ${name} has an @example without code: add a \`\`\`ts block`,
        );
      } else if (/^\s*```/.test(example)) {
        faults.push(
          `${place(runnable)} ${name} has an @example without title: put it after the tag`,
        );
      }
    }
  }
  for (const { kind, def } of declarations) {
    if (kind !== "interface" || !name.endsWith("Options")) continue;
    for (const property of def?.properties ?? []) {
      if (!property.optional || property.name === "signal") continue;
      if (property.jsDoc?.tags?.some((tag) => tag.kind === "default")) continue;
      const what = `${name}.${property.name} has no @default`;
      faults.push(`${place(property)} ${what}: add "@default {value}"`);
    }
  }
  return faults;
}

function place({ location: { filename, line } }: Documented): string {
  const path = filename.startsWith("file:") ? relative(ROOT, fileURLToPath(filename)) : filename;
  return `${path}:${line + 1}`;
}

/** By path, then by line as a number. */
function byPlace(a: string, b: string): number {
  const [, pathA = a, lineA = ""] = /^(\S*):(\d+) /.exec(a) ?? [];
  const [, pathB = b, lineB = ""] = /^(\S*):(\d+) /.exec(b) ?? [];
  return pathA < pathB ? -1 : pathA > pathB ? 1 : Number(lineA) - Number(lineB);
}

if (import.meta.main) {
  const entries = (await readPackages()).filter(({ published }) => published)
    .flatMap(({ entries }) => [...entries.values()]);
  const faults = await docFaults(entries.map((file) => join(ROOT, file)));
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) Deno.exit(1);
}
