import { Validator } from "@seriousme/openapi-schema-validator";
import type { ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { insertTodo, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { ROUTES } from "./http_routes.ts";
import { OPENAPI } from "./openapi.ts";
import { inTx } from "./testdata/fixture.ts";
import { pushBody, type Served, serveGateway } from "./testdata/http_fixture.ts";

type Operations = { readonly [method: string]: { readonly parameters: readonly unknown[] } };
const PATHS = OPENAPI.paths as unknown as { readonly [path: string]: Operations };

test("the description is valid OpenAPI 3.1", async () => {
  const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(OPENAPI)));
  assert(valid, JSON.stringify(errors));
});

test("the description has every route and method, and nothing else", () => {
  const described = Object.entries(PATHS).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  );
  const served = ROUTES.flatMap(({ path, runs }) =>
    Object.keys(runs).map((method) => `${method} ${path.replace(":gw", "{gw}")}`)
  );
  const pages = ["/health", "/ready", "/metrics", "/openapi.json"].map((path) => `GET ${path}`);
  assertEquals(described.toSorted(), [...served, ...pages].toSorted());
});

test("the description names every parameter that routes read", () => {
  const named = (path: string) =>
    (PATHS[path]!.get!.parameters as readonly { name: string; in: string }[])
      .filter((parameter) => parameter.in === "query").map(({ name }) => name).toSorted();
  const view = ["clientId", "schemaVersion", "tables"];
  const from = [...view, "cursor", "limit", "own", "schema", "tell"];
  assertEquals(named("/v1/sync/{gw}/pull"), [...from, "source", "wait"].toSorted());
  assertEquals(named("/v1/sync/{gw}/live"), from.toSorted());
  assertEquals(named("/v1/sync/{gw}/checkpoint"), [...view, "atLeast"].toSorted());
});

/** What holds a value to a schema of the description. */
function schemaOf(name: string): ValidateFunction {
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema({ $id: "api", ...OPENAPI });
  return ajv.compile({ $ref: `api#/components/schemas/${name}` });
}

/** The name of the schema that the description gives for a JSON answer. */
function named(path: string, method: string, status: "200" | "default"): string {
  const operation = PATHS[path]![method] as unknown as {
    responses: {
      [status: string]: { content: { "application/json": { schema: { $ref: string } } } };
    };
  };
  return operation.responses[status]!.content["application/json"].schema.$ref.split("/").at(-1)!;
}

async function fits(
  served: Served,
  target: string,
  init: RequestInit & { failing?: boolean } = {},
): Promise<unknown> {
  const { failing = false, ...request } = init;
  const path = target.split("?")[0]!.replace("/default/", "/{gw}/");
  const response = await served.ask(target, request);
  const body: unknown = await response.json();
  assertEquals(response.ok, !failing, JSON.stringify(body));
  const schema = named(path, (init.method ?? "GET").toLowerCase(), failing ? "default" : "200");
  const validate = schemaOf(schema);
  assert(validate(body), `${target}: ${schema}: ${JSON.stringify([validate.errors, body])}`);
  return body;
}

test("what a gateway answers fits the schemas that its description names", async () => {
  await using served = await serveGateway();
  const push = (deltas: readonly unknown[], clientId?: string) =>
    fits(served, "/v1/sync/default/push", { method: "POST", body: pushBody(deltas, clientId) });
  const insert = inTx(insertTodo("a", 1), "t");
  await push([insert, inTx(insertTodo("b", 2), "t")]);
  await push([insert, { ...insertTodo("c", 3), deltaId: "0".repeat(64) }]);
  const pull = "/v1/sync/default/pull";
  await fits(served, `${pull}?clientId=bob`);
  await fits(served, `${pull}?clientId=alice:phone&own=ids`);
  await fits(served, pull, { failing: true });
  await fits(served, `${pull}?clientId=bob&cursor=strange`, { failing: true });
  await fits(served, "/v1/admin/default/stats");
  await fits(served, "/v1/admin/default/rules");
  const schema = await fits(served, "/v1/admin/default/schema");
  const put = (body: unknown) => ({ method: "PUT", body: JSON.stringify(body) });
  await fits(served, "/v1/admin/default/schema", put(schema));
  await fits(served, "/v1/admin/default/schema", { ...put({ tables: [] }), failing: true });
  const rules = {
    version: 1,
    buckets: [{
      name: "own",
      tables: ["todos"],
      filters: [{ column: "title", op: "eq", value: "jwt:sub" }, {
        column: "id",
        op: "in",
        table: "__proto__",
        select: "constructor",
        where: [{ column: "id", op: "eq", value: "jwt:sub" }],
      }],
    }],
  };
  await fits(served, "/v1/admin/default/rules", put(rules));
  await fits(served, "/v1/admin/default/rules");
  await fits(served, "/v1/admin/default/flush", { method: "POST", failing: true });
});

test("the description is served to everybody", async () => {
  await using served = await serveGateway();
  const response = await served.ask("/openapi.json");
  assertEquals(response.headers.get("content-type"), "application/json");
  assertEquals(await response.json(), OPENAPI as unknown);
});

test("a push that does not fit the description's schema is refused by the gateway too", async () => {
  await using served = await serveGateway();
  const validate = schemaOf("PushRequest");
  const good = { clientId: "alice:phone", deltas: [insertTodo("a", 1)] };
  assert(validate(good));
  for (const bad of [{}, { clientId: "a" }, { clientId: 1, deltas: [] }, { ...good, deltas: {} }]) {
    assert(!validate(bad));
    const response = await served.push(bad);
    assertEquals([response.status, (await response.json()).error.code], [400, "VALIDATION_ERROR"]);
  }
});
