import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { readPrograms } from "./_readme.ts";

test("readPrograms() takes programs with the output that follows them, and no other fence", () => {
  const markdown = [
    "# Title",
    "```sh",
    "deno task demo",
    "```",
    "```ts run",
    'console.log("a");',
    "```",
    "It prints:",
    "```text output",
    "a",
    "```",
    "```ts",
    "fragment(",
    "```",
    "````ts  run example",
    "const fence = `\n```\n`;",
    "````",
    "```text",
    "no output",
    "```",
    "```text output",
    "of nothing",
    "```",
    "```ts runs",
    "```",
  ].join("\n");
  assertEquals(readPrograms(markdown), [
    { line: 6, source: 'console.log("a");\n', output: "a\n" },
    { line: 16, source: "const fence = `\n```\n`;\n", output: undefined },
  ]);
});

test("readPrograms() finds nothing in a text without programs", () => {
  assertEquals(readPrograms("# Title\n\n```ts\nfragment();\n```\n"), []);
});
