/**
 * `deno task query "SELECT …"`: asks a lake. See QUERY_USAGE.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst, type PendingDeltas, pendingFromLog } from "@lakesync/analyst";
import {
  err,
  LakeSyncError,
  type LogStore,
  ok,
  type Result,
  toLakeSyncError,
} from "@lakesync/core";
import { createGateway, type Gateway, openSqliteLogStore } from "@lakesync/gateway";
import { gatewayPaths } from "./gateway_paths.ts";
import { lakeStates } from "./lake_states.ts";
import { openLake } from "./open_lake.ts";
import { parseQueryArgs, QUERY_USAGE, type QueryArgs } from "./query_args.ts";
import { formatAnswer } from "./query_format.ts";

async function main(): Promise<number> {
  const args = parseQueryArgs(process.argv.slice(2));
  if (!args.ok) return fail(args.error, 2);
  if (args.value === "help") {
    process.stdout.write(`${QUERY_USAGE}\n`);
    return 0;
  }
  try {
    const answered = await answer(args.value);
    return answered.ok ? 0 : fail(answered.error, 1);
  } catch (thrown) {
    // A reader that has seen enough (`| head`) is no failure.
    if ((thrown as { code?: unknown }).code === "EPIPE") return 0;
    return fail(toLakeSyncError(thrown, "INTERNAL"), 1);
  }
}

async function answer(args: QueryArgs): Promise<Result<void>> {
  const { sql, data, id, gateway: url, asOf, snapshots } = args;
  const catalogue = await openLake({ ...args, env: process.env });
  if (!catalogue.ok) return catalogue;
  const flushed = url === undefined ? ok(undefined) : await flushFirst(url, id);
  if (!flushed.ok) return flushed;
  const gateway = url === undefined ? await openLog(gatewayPaths(data, id).log, id) : ok(undefined);
  if (!gateway.ok) return gateway;
  try {
    const pending = gateway.value && pendingOf(gateway.value);
    const analyst = await openAnalyst({
      lake: icebergLake({ catalogue: catalogue.value }),
      store: catalogue.value.store,
      findState: lakeStates(catalogue.value),
      ...(pending !== undefined && { pending }),
    });
    if (!analyst.ok) return analyst;
    try {
      const stream = await analyst.value.stream(sql, {
        snapshots,
        ...(asOf !== undefined && { asOf }),
      });
      if (!stream.ok) return stream;
      const format = args.format ?? (process.stdout.isTTY === true ? "table" : "json");
      for await (const text of formatAnswer(stream.value, format)) await print(text);
      return ok(undefined);
    } finally {
      await analyst.value.close();
    }
  } finally {
    await gateway.value?.close();
  }
}

/** Has a running gateway flush. */
async function flushFirst(url: string, id: string): Promise<Result<void>> {
  const { LAKESYNC_TOKEN: token } = process.env;
  const to = `${url.replace(/\/+$/, "")}/v1/admin/${encodeURIComponent(id)}/flush`;
  let response: Response;
  try {
    response = await fetch(to, {
      method: "POST",
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
  } catch (cause) {
    return err(
      new LakeSyncError(
        "OFFLINE",
        `Cannot reach ${url}: start the gateway, or leave --gateway out`,
        {
          cause,
        },
      ),
    );
  }
  const body = await response.text();
  if (response.ok) return ok(undefined);
  const next = response.status === 401 || response.status === 403
    ? "; set LAKESYNC_TOKEN to an admin's token"
    : "";
  return err(
    new LakeSyncError("CONFLICT", `The gateway at ${url} did not flush: ${reasonOf(body)}${next}`),
  );
}

function reasonOf(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } };
    return String(error?.message ?? body);
  } catch {
    return body.slice(0, 200);
  }
}

/** The gateway over a log that no process has open; undefined where there is none at hand. */
async function openLog(path: string, id: string): Promise<Result<Gateway | undefined>> {
  if (!existsSync(path)) return ok(undefined);
  const store: Result<LogStore> = await openSqliteLogStore({ path });
  if (store.ok) {
    const gateway = await createGateway({ id, store: store.value, destinations: [LAKE] });
    if (!gateway.ok) await store.value.close();
    return gateway;
  }
  if (store.error.code !== "CONFLICT") return store;
  process.stderr.write(
    "The gateway is running: what it has not flushed yet is not in this answer, unless you add --gateway URL\n",
  );
  return ok(undefined);
}

/** Names the lake to a gateway that is only asked how far it has flushed to it. */
const LAKE = {
  name: "lake",
  watermarks: () => Promise.resolve(ok(new Map())),
  write: () => Promise.resolve(ok(new Map())),
};

function pendingOf(gateway: Gateway): PendingDeltas {
  return pendingFromLog(gateway.store, {
    schemas: () => gateway.schema(),
    flushed: () => gateway.flushedUpTo(LAKE.name),
  });
}

/** Writes to stdout, no faster than it is read. */
function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => error ? reject(error) : resolve());
  });
}

function fail({ code, message }: LakeSyncError, exit: number): number {
  process.stderr.write(`${code}: ${message}\n`);
  return exit;
}

process.exitCode = await main();
