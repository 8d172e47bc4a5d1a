// A child for process_test.ts: says hello, then sends every line of its stdin back.
import process from "node:process";
import { createInterface } from "node:readline";
import { runtimeName } from "@lakesync/testing";

console.log(JSON.stringify({ runtimeName, args: process.argv.slice(2), env: process.env.ECHO }));
console.error("on stderr");
for await (const line of createInterface({ input: process.stdin })) {
  const value: unknown = JSON.parse(line);
  if (value === "exit") process.exit(7);
  if (value === "tear") process.stdout.write('{"torn":');
  else console.log(JSON.stringify({ echo: value }));
}
