// What a user's main.ts on Deno Deploy looks like. Only the tests give it a file for its KV.
import { defineTable, integer } from "@lakesync/core";
import { serveDenoDeploy } from "../deno_deploy.ts";

const server = serveDenoDeploy({
  tables: [defineTable("todos", { n: integer() })],
  kvPath: Deno.env.get("TEST_KV_PATH")!,
  address: { host: "127.0.0.1", port: 0 },
});
await Deno.stdout.write(
  new TextEncoder().encode(`${JSON.stringify({ url: `http://127.0.0.1:${server.port}` })}\n`),
);
