/**
 * `deno task check`: the one gate for everything that is no test. Runs all steps, prints a line for
 * each and the output of those that failed, and `N passed, N failed` at the end.
 */
import { join } from "node:path";
import { docFaults } from "./check_docs.ts";
import { docLint } from "./_doc_lint.ts";
import { jsrFaults } from "./check_jsr.ts";
import { tsconfigFaults } from "./check_tsconfig.ts";
import { runDeno } from "./_run.ts";
import { readPackages, ROOT } from "./_workspace.ts";

/** A step by its name: what is wrong, empty where nothing is. */
type Step = [name: string, check: () => Promise<string>];

/** What a Deno command prints when it fails; empty when it succeeds. */
async function deno(args: readonly string[], cwd?: string): Promise<string> {
  const { code, stdout, stderr } = await runDeno(args, cwd);
  return code === 0 ? "" : `${stdout}${stderr}`.trim() || `it ended with code ${code}`;
}

/**
 * A dry run checks what needs no registry: which files make up a package, that all imports resolve
 * and how they would be rewritten, types, and that the public API has no slow ones. It asks nothing
 * of JSR. At the root it would take the root package alone, so each package gets its own. (That
 * published code imports unpublished packages escapes it; the lint rule `layers` sees that.)
 */
async function publishDryRun(): Promise<string> {
  const outputs = await Promise.all(published.map(async ({ folder }) => {
    const output = await deno(["publish", "--dry-run", "--allow-dirty"], join(ROOT, folder));
    return output === "" ? [] : [`in ${folder}:\n${output}`];
  }));
  return outputs.flat().join("\n\n");
}

const packages = await readPackages();
const published = packages.filter((pkg) => pkg.published);
const entries = published.flatMap((pkg) => [...pkg.entries.values()]);

const steps: Step[] = [
  ["format", () => deno(["fmt", "--check"])],
  ["lint", () => deno(["lint"])],
  ["types", () => deno(["check"])],
  ["doc lint", () => docLint(entries)],
  ["doc comments", async () => (await docFaults(entries)).join("\n")],
  ["publish --dry-run", publishDryRun],
  ["tsconfig", async () => (await tsconfigFaults()).join("\n")],
  ["no JSR imports", async () => (await jsrFaults()).join("\n")],
];

let failed = 0;
for (const [name, check] of steps) {
  const start = performance.now();
  let output: string;
  try {
    output = await check();
  } catch (thrown) {
    output = Deno.inspect(thrown);
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${output === "" ? "ok  " : "FAIL"}  ${name} (${seconds} s)`);
  if (output === "") continue;
  failed++;
  console.log(`${output.replace(/^(?=.)/gm, "      ")}\n`);
}
console.log(`${steps.length - failed} passed, ${failed} failed`);
if (failed > 0) Deno.exit(1);
