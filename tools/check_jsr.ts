/**
 * No file takes anything from JSR: machines that build this reach npm, not JSR. The lint rule
 * `no-jsr` sees imports of code; this sees configuration, lock file and code blocks of texts too.
 */
import { join } from "node:path";
import { listFiles, ROOT } from "./_workspace.ts";

/** `path:line message` for each import from JSR in the workspace. */
export async function jsrFaults(): Promise<string[]> {
  const files = (await listFiles()).filter((file) =>
    /\.(tsx?|jsx?|mjs|jsonc?|lock|md)$/.test(file)
  );
  const found = await Promise.all(files.map(async (file) => {
    return jsrImports(file, await Deno.readTextFile(join(ROOT, file)));
  }));
  return found.flat();
}

/** The same for one text. */
export function jsrImports(file: string, text: string): string[] {
  const pattern = /\.(json|jsonc|lock)$/.test(file)
    ? /"jsr:/
    : /(\bfrom|\bimport)\s*\(?\s*["'](jsr:|https?:\/\/jsr\.io\/)/;
  return text.split("\n").flatMap((line, index) =>
    // This tool's own tests have to write such imports down as text.
    pattern.test(line) && !/^tools\/.*_test\.ts$/.test(file)
      ? [`${file}:${index + 1} imports from JSR: take an npm package`]
      : []
  );
}
