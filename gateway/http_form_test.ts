// Protobuf over HTTP: the same bodies as JSON, in the form that the caller asks for.
import {
  type CheckpointLine,
  decodeCheckpointFrames,
  decodeErrorBody,
  decodeJsonBody,
  decodePullAnswer,
  decodePushAnswer,
  encodeJsonBody,
  encodePushRequest,
  type PullAnswer,
  type PushAnswer,
  type Result,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, makeDelta, Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { FakeDestination } from "./testdata/fake_destination.ts";
import { deleteTodo, PROTO, TODOS, updateTodo } from "./testdata/fixture.ts";
import { errorOf, serveGateway } from "./testdata/http_fixture.ts";

const PROTOBUF = "application/x-protobuf";
const ASKS = { headers: { accept: PROTOBUF } };

async function read<T>(
  response: Response,
  decode: (bytes: Uint8Array) => Result<T>,
  status = 200,
): Promise<T> {
  assertEquals([response.status, response.headers.get("content-type")], [status, PROTOBUF]);
  return unwrapOrThrow(decode(new Uint8Array(await response.arrayBuffer())));
}

/** One of every kind of delta, with values that have special forms. */
const HISTORY = [
  insertTodo("a", 1),
  makeDelta({
    op: "INSERT",
    table: "todos",
    rowId: "ö\u{1F600}",
    clientId: "alice:phone",
    hlc: "18446744073709551615",
    columns: [
      { column: "title", value: "" },
      { column: "done", value: true },
      { column: "note", value: JSON.parse('{"__proto__":[1e300,-0.5,null]}') as null },
    ],
    txId: "tx",
  }),
  updateTodo("a", 3, { note: null }),
  deleteTodo("a", 4),
  insertTodo("a", 5),
  makeDelta({
    op: "INSERT",
    table: "__proto__",
    rowId: "p",
    clientId: "alice:phone",
    hlc: "6",
    columns: [{ column: "constructor", value: "x" }],
  }),
];

function pushed(protobuf: boolean, headers: { readonly [name: string]: string } = {}): RequestInit {
  const push = { clientId: "alice:phone", deltas: HISTORY, schemaVersion: 1 };
  return {
    method: "POST",
    body: protobuf ? encodePushRequest(push) : JSON.stringify(push),
    headers: { "content-type": protobuf ? PROTOBUF : "application/json", ...headers },
  };
}

/** A gateway whose clock allows the greatest stamp. */
const UNDRIFTED = { limits: { maxDriftMs: Infinity } };

test("a push as protobuf is answered as one as JSON is", async () => {
  await using one = await serveGateway(UNDRIFTED);
  await using other = await serveGateway(UNDRIFTED);
  const path = "/v1/sync/default/push";
  const json = await (await one.ask(path, pushed(false))).json() as PushAnswer;
  const protobuf = await read(await other.ask(path, pushed(true)), decodePushAnswer);
  const { serverHlc: _, ...answer } = json;
  assertEquals(answer, { accepted: 6, duplicates: 0, rejected: [], seq: 6 });
  assertEquals({ ...protobuf, serverHlc: "" }, { ...json, serverHlc: "" });
  const page = async (served: typeof one) =>
    (await (await served.pull()).json() as PullAnswer).deltas;
  assertEquals(await page(other), await page(one), "the very same deltas are in both logs");
});

test("rejections come as protobuf as they come as JSON, also of what only protobuf can say", async () => {
  await using served = await serveGateway();
  const deltas = [
    { ...insertTodo("a", 1), table: "none" },
    { ...insertTodo("b", 2), deltaId: "00".repeat(32) },
    { ...insertTodo("c", 3), columns: [{ column: "title", value: Number.NaN }] },
    { ...insertTodo("d", 4), deltaId: "00" },
    { ...insertTodo("e", 5), hlc: "0" },
    insertTodo("f", 6),
  ];
  const response = await served.ask("/v1/sync/default/push", {
    method: "POST",
    body: encodePushRequest({ clientId: "alice:phone", deltas }),
    headers: { "content-type": PROTOBUF },
  });
  const { accepted, rejected } = await read(response, decodePushAnswer);
  assertEquals(accepted, 1);
  assertEquals(rejected.map(({ index, deltaId, code }) => [index, deltaId, code]), [
    [0, deltas[0]!.deltaId, "SCHEMA_ERROR"],
    [1, "00".repeat(32), "BAD_DELTA_ID"],
    [2, deltas[2]!.deltaId, "SCHEMA_ERROR"],
    [3, "00", "BAD_DELTA_ID"],
    [4, deltas[4]!.deltaId, "SCHEMA_ERROR"],
  ]);
});

test("a page as protobuf is the same as JSON", async () => {
  await using served = await serveGateway(UNDRIFTED);
  await served.ask("/v1/sync/default/push", pushed(false));
  for (const query of ["", "&own=ids", "&limit=2", "&tables=__proto__"]) {
    const path = `/v1/sync/default/pull?clientId=alice:phone${query}`;
    const json = await (await served.ask(path)).json() as PullAnswer;
    const protobuf = await read(await served.ask(path, ASKS), decodePullAnswer);
    assertEquals({ ...protobuf, serverHlc: "" }, { ...json, serverHlc: "" }, query);
  }
});

test("a checkpoint as protobuf has the lines that it has as JSON", async () => {
  await using served = await serveGateway(UNDRIFTED);
  await served.ask("/v1/sync/default/push", pushed(false));
  const path = "/v1/sync/default/checkpoint?clientId=bob";
  const text = await (await served.ask(path)).text();
  const json = text.trimEnd().split("\n").map((line) => JSON.parse(line) as CheckpointLine);
  assertEquals(json.length, 5);
  for (const accept of ["identity", "gzip"]) {
    const response = await served.ask(path, {
      headers: { accept: PROTOBUF, "accept-encoding": accept },
    });
    assertEquals(response.headers.get("content-type"), PROTOBUF);
    const lines: CheckpointLine[] = [];
    for await (const chunk of decodeCheckpointFrames(response.body!)) lines.push(...chunk);
    assertEquals(lines, json, accept);
  }
});

test("every other route answers protobuf with its JSON text", async () => {
  await using served = await serveGateway({ destinations: [new FakeDestination()] });
  for (const [method, path] of [["GET", "schema"], ["GET", "stats"], ["POST", "flush"]] as const) {
    const at = `/v1/admin/default/${path}`;
    const json: unknown = await (await served.ask(at, { method })).json();
    const protobuf = await read(await served.ask(at, { method, ...ASKS }), decodeJsonBody);
    assertEquals(protobuf, json, path);
  }
  const put = await served.ask("/v1/admin/default/schema", {
    method: "PUT",
    body: encodeJsonBody(JSON.stringify({ tables: [TODOS, PROTO] })),
    headers: { "content-type": PROTOBUF },
  });
  assertEquals(await read(put, decodeJsonBody), { tables: [TODOS, PROTO] });
});

test("an error comes in the form that was asked for, with the status that it has as JSON", async () => {
  await using served = await serveGateway();
  const post = (init: RequestInit) => ({ method: "POST", ...init });
  const garbage = new Uint8Array([255]);
  for (
    const [path, init, status, code] of [
      ["/v1/sync/default/pull?clientId=bob&cursor=x", ASKS, 410, "CHECKPOINT_REQUIRED"],
      ["/v1/sync/default/pull", ASKS, 400, "VALIDATION_ERROR"],
      ["/v1/sync/default/live?clientId=bob&cursor=x", ASKS, 410, "CHECKPOINT_REQUIRED"],
      ["/v1/sync/other/pull?clientId=bob", ASKS, 404, "NOT_FOUND"],
      ["/nowhere", ASKS, 404, "NOT_FOUND"],
      ["/v1/sync/default/push", ASKS, 405, "METHOD_NOT_ALLOWED"],
      [
        "/v1/sync/default/push",
        post({ body: garbage, headers: { "content-type": PROTOBUF } }),
        400,
        "VALIDATION_ERROR",
      ],
    ] as const
  ) {
    const response = await served.ask(path, init);
    const requestId = response.headers.get("x-request-id");
    const { error } = await read(response, decodeErrorBody, status);
    assertEquals([error.code, error.requestId], [code, requestId], path);
  }
});

test("Accept decides the form, and without it the form of the request's own body", async () => {
  await using served = await serveGateway(UNDRIFTED);
  const typeOf = async (protobuf: boolean, headers: { readonly [name: string]: string }) => {
    const response = await served.ask("/v1/sync/default/push", pushed(protobuf, headers));
    await response.body?.cancel();
    return response.headers.get("content-type");
  };
  assertEquals(await typeOf(false, {}), "application/json");
  assertEquals(await typeOf(true, {}), PROTOBUF);
  assertEquals(await typeOf(true, { accept: "*/*" }), PROTOBUF);
  assertEquals(await typeOf(true, { accept: "application/json" }), "application/json");
  assertEquals(await typeOf(false, { accept: PROTOBUF }), PROTOBUF);
  assertEquals(await typeOf(true, { "content-type": `${PROTOBUF}; charset=none` }), PROTOBUF);
});

test("protobuf that is no push is 400 and appends nothing", async () => {
  await using served = await serveGateway();
  for (const body of [new Uint8Array(), new Uint8Array([0x0a, 0x05]), "{}"]) {
    await errorOf(
      await served.push(undefined, {
        body,
        headers: { "content-type": PROTOBUF, accept: "application/json" },
      }),
      { status: 400, code: "VALIDATION_ERROR" },
    );
  }
});

test("a thousand damaged protobuf pushes harm neither the gateway nor a good client", async () => {
  await using served = await serveGateway(UNDRIFTED);
  const prng = new Prng(42);
  const valid = encodePushRequest({ clientId: "alice:phone", deltas: HISTORY });
  for (let i = 0; i < 1_000; i++) {
    const body = valid.slice(0, prng.int(0, valid.length));
    for (let n = prng.int(1, 5); n > 0 && body.length > 0; n--) {
      body[prng.int(0, body.length - 1)] = prng.int(0, 255);
    }
    const request = new Request("http://g/v1/sync/default/push", {
      method: "POST",
      body,
      headers: { "content-type": PROTOBUF },
    });
    const response = await served.handler.fetch(request);
    assert([200, 400, 403].includes(response.status), String(response.status));
    assertEquals(response.headers.get("content-type"), PROTOBUF);
    await response.arrayBuffer();
  }
  const push = await read(
    await served.ask("/v1/sync/default/push", pushed(true)),
    decodePushAnswer,
  );
  assertEquals(push.accepted + push.duplicates, HISTORY.length);
});
