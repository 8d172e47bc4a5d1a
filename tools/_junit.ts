/** What one test of a JUnit report came to. */
export interface TestResult {
  title: string;
  /** The test file, as the report names it. */
  file: string;
  outcome: "passed" | "failed" | "skipped";
  /** What a failed test said, with its stack. */
  why?: string;
}

/**
 * Reads the JUnit XML that `deno test` and `bun test` write. Both escape "<" in all texts, so a tag
 * is a tag wherever it stands.
 *
 * @throws {TypeError} When the text is no whole report.
 */
export function parseJunit(xml: string): TestResult[] {
  if (!/<\/testsuites>\s*$/.test(xml)) throw new TypeError("Cannot read test report: cut off");
  const results: TestResult[] = [];
  for (const [, attributes, body] of xml.matchAll(TEST_CASE)) {
    const title = attribute(attributes!, "name");
    const file = attribute(attributes!, "file") ?? attribute(attributes!, "classname");
    if (title === undefined || file === undefined) {
      throw new TypeError(`Cannot read test report: no name or file in <testcase${attributes}>`);
    }
    const result = { title, file: file.replace(/^\.\//, "") };
    const failure = FAILURE.exec(body ?? "");
    if (failure !== null) {
      results.push({ ...result, outcome: "failed", why: decode(failure[1] ?? "").trim() });
    } else {
      results.push({ ...result, outcome: /<skipped\b/.test(body ?? "") ? "skipped" : "passed" });
    }
  }
  return results;
}

const TEST_CASE = /<testcase((?:\s+[\w:-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const FAILURE = /<(?:failure|error)\b[^>]*?(?:\/>|>([^<]*))/;

function attribute(attributes: string, name: string): string | undefined {
  const text = new RegExp(`\\s${name}="([^"]*)"`).exec(attributes)?.[1];
  return text === undefined ? undefined : decode(text);
}

function decode(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]+|#[0-9]+|\w+);/g, (_, entity: string) => unescape(entity));
}

const NAMED: ReadonlyMap<string, string> = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["amp", "&"],
  ["quot", '"'],
  ["apos", "'"],
]);

function unescape(entity: string): string {
  if (entity.startsWith("#x")) return String.fromCodePoint(parseInt(entity.slice(2), 16));
  if (entity.startsWith("#")) return String.fromCodePoint(parseInt(entity.slice(1), 10));
  const character = NAMED.get(entity);
  if (character === undefined) throw new TypeError(`Cannot read test report: entity &${entity};`);
  return character;
}
