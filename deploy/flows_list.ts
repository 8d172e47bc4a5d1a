/**
 * `deno task flows`: what flows, how far it is, and what it last failed with.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { systemClock } from "@lakesync/core";
import { type FlowsStatus, readFlowsStatus, type RouteState } from "./flows_status.ts";

const USAGE = `flows [--data DIR]    tells what flows on a server, as of its last change

  --data DIR    the server's data directory  (./lakesync-data)
  --json        one line of JSON instead
  --help        this text

Ends with 1 where a flow or a destination has failed, or a destination is cut off.`;

await main();

async function main(): Promise<void> {
  let values: { data?: string; json?: boolean; help?: boolean };
  try {
    ({ values } = parseArgs({
      options: { data: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean" } },
    }));
  } catch (thrown) {
    return end(`${thrown instanceof Error ? thrown.message : thrown}; see --help`, 2);
  }
  if (values.help === true) return end(USAGE, 0);
  const status = await readFlowsStatus(values.data ?? "lakesync-data");
  if (!status.ok) return end(status.error.message, 2);
  const { flows, destinations } = status.value;
  const text = values.json === true
    ? JSON.stringify(status.value)
    : describe(status.value, systemClock.now());
  process.stdout.write(`${text}\n`);
  const ill = flows.some(({ state }) => state === "failed") ||
    destinations.some((route) => route.cutOff || faultsOf(route).length > 0);
  process.exitCode = ill ? 1 : 0;
}

function end(text: string, code: number): void {
  process.stderr.write(`${text}\n`);
  process.exitCode = code;
}

function describe({ at, flows, destinations }: FlowsStatus, now: number): string {
  const lines = [`as of ${new Date(at).toISOString()} (${ago(at, now)})`];
  for (const { flow, log, destination, state, records, deltas, readAt, error } of flows) {
    const read = readAt === null ? "never read to its end" : `read ${ago(readAt, now)}`;
    const to = destination === undefined ? log : `${destination}, copied`;
    lines.push(`${flow} -> ${to}: ${state}, ${read}, ${records} records, ${deltas} deltas`);
    if (error !== null) lines.push(`  ${error.code}: ${error.message}`);
  }
  for (const route of destinations) {
    const { log, destination, lag, cutOff } = route;
    const cut = cutOff ? ", cut off: drop its tables, and the next flush rebuilds them" : "";
    lines.push(`${log} -> ${destination}: lacks ${lag} deltas${cut}`);
    lines.push(...faultsOf(route).map((fault) => `  ${fault}`));
    for (const [table, { misfits = {} }] of Object.entries(route.behind?.tables ?? {})) {
      for (const [column, count] of Object.entries(misfits)) {
        lines.push(`  table "${table}": ${count} values that column "${column}" cannot hold`);
      }
    }
  }
  return lines.join("\n");
}

/** What a destination or tables of it fail with, and behind its flushes its tables for people. */
function faultsOf({ error, failing, behind }: RouteState): string[] {
  const errors = [
    ...failing === undefined ? [error] : Object.values(failing),
    ...Object.values(behind?.tables ?? {}).map(({ error }) => error),
  ];
  return errors.flatMap((error) => error === undefined ? [] : [`${error.code}: ${error.message}`]);
}

function ago(then: number, now: number): string {
  return `${Math.max(0, Math.round((now - then) / 1000))} s ago`;
}
