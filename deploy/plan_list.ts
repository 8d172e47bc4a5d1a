/**
 * `deno task plan`: what a changed configuration would do.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { loadConfig } from "./config.ts";
import { type Declared, declaredOf, planChanges } from "./plan.ts";
import { readDeclared } from "./plan_file.ts";

const USAGE =
  `plan --config FILE [--data DIR]    tells what a server would do with that configuration

  --config FILE    the lakesync.config.ts
  --data DIR       the server's data directory  (./lakesync-data)
  --help           this text

Compares it with what the server was last started with, and changes nothing. Ends with 1 where the
server would refuse it, with 2 where it is faulty.`;

const NOTHING: Declared = { tables: [], rules: null, shards: [], routes: [], flows: [] };

process.exitCode = await main();

async function main(): Promise<number> {
  let values: { config?: string; data?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      options: {
        config: { type: "string" },
        data: { type: "string" },
        help: { type: "boolean" },
      },
    }));
  } catch (thrown) {
    return say(`${thrown instanceof Error ? thrown.message : thrown}; see --help`, 2);
  }
  if (values.help === true) return say(USAGE, 0);
  if (values.config === undefined) return say("--config is missing: name a lakesync.config.ts", 2);
  const config = await loadConfig(values.config);
  if (!config.ok) return say(config.error.message, 2);
  const before = await readDeclared(values.data ?? "lakesync-data");
  if (!before.ok) return say(before.error.message, 2);
  const { tables, rules, shards, destinations, flows } = config.value;
  const after = declaredOf({ tables, rules, shards, destinations, flows });
  const changes = planChanges(before.value ?? NOTHING, after);
  const lines = changes.map(({ kind, text }) => kind === "note" ? text : `${kind}: ${text}`);
  process.stdout.write(`${lines.length > 0 ? lines.join("\n") : "nothing changes"}\n`);
  return changes.some(({ kind }) => kind === "refused") ? 1 : 0;
}

function say(text: string, code: number): number {
  process.stderr.write(`${text}\n`);
  return code;
}
