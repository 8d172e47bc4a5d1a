// A child for kill_test.ts: serves a gateway over the log at the given path until it is killed.
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { serveHandler } from "@lakesync/testing";
import { createHandler } from "../http.ts";
import { openSqliteLogStore } from "../store_sqlite.ts";
import { openGateway } from "./fixture.ts";

const store = unwrapOrThrow(await openSqliteLogStore({ path: process.argv[2]! }));
const handler = createHandler({ gateways: [await openGateway({ store })] });
const { url } = await serveHandler((request) => handler.fetch(request));
process.stdout.write(`${JSON.stringify({ url })}\n`);
