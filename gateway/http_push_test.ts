import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  type Delta,
  packHlc,
  type PullAnswer,
  type PushAnswer,
  type RejectionCode,
} from "@lakesync/core";
import { insertTodo, makeDelta, ManualClock, test } from "@lakesync/testing";
import { deleteTodo, inTx, updateTodo } from "./testdata/fixture.ts";
import {
  errorOf,
  pushBody,
  RawConnection,
  rawRequest,
  type Served,
  serveGateway,
  until,
} from "./testdata/http_fixture.ts";

const MIB = 2 ** 20;

async function answerOf(response: Response): Promise<PushAnswer> {
  const text = await response.text();
  assertEquals(response.status, 200, text);
  return JSON.parse(text) as PushAnswer;
}

async function headOf(served: Served): Promise<number> {
  return (await (await served.ask("/v1/admin/default/stats")).json() as { head: number }).head;
}

/** A todo whose title alone has so many characters. */
function longTodo(rowId: string, hlc: number, length: number): Delta {
  return makeDelta({
    op: "INSERT",
    table: "todos",
    rowId,
    clientId: "alice:phone",
    hlc: String(hlc),
    columns: [{ column: "title", value: "x".repeat(length) }, { column: "done", value: true }],
  });
}

test("POST push answers what it accepted, with the head and the clock", async () => {
  await using served = await serveGateway();
  const deltas = [insertTodo("a", 1), inTx(insertTodo("b", 2), "t"), inTx(insertTodo("c", 3), "t")];
  const first = await answerOf(await served.push({ clientId: "alice:phone", deltas }));
  const { serverHlc, ...rest } = first;
  assertEquals(rest, { accepted: 3, duplicates: 0, rejected: [], seq: 3 });
  assertMatch(serverHlc, /^[1-9][0-9]*$/);
  const again = await answerOf(await served.push({ clientId: "alice:phone", deltas }));
  assertEquals([again.accepted, again.duplicates, again.seq], [0, 3, 3]);
  assert(BigInt(again.serverHlc) >= BigInt(serverHlc));
  const none = await answerOf(await served.push({ clientId: "alice:phone", deltas: [] }));
  assertEquals([none.accepted, none.duplicates, none.seq], [0, 0, 3]);
});

test("POST push takes the deltas of several devices of one subject", async () => {
  await using served = await serveGateway();
  const deltas = [
    insertTodo("a", 1, "al%3Aice"),
    insertTodo("b", 2, "al%3Aice:phone"),
    insertTodo("c", 3, "al%3aice:tablet:2"),
  ];
  assertEquals((await answerOf(await served.push({ clientId: "al%3Aice:x", deltas }))).accepted, 3);
});

const notPushes: [title: string, body: unknown][] = [
  ["null", null],
  ["a number", 1],
  ["a text", "push"],
  ["a list", []],
  ["nothing of it", {}],
  ["no deltas", { clientId: "alice" }],
  ["deltas of another type", { clientId: "alice", deltas: { 0: insertTodo("a", 1) } }],
  ["deltas null", { clientId: "alice", deltas: null }],
  ["no clientId", { deltas: [] }],
  ["an empty clientId", { clientId: "", deltas: [] }],
  ["a clientId of another type", { clientId: 7, deltas: [] }],
  ["a clientId of 1,025 bytes", { clientId: "a".repeat(1_025), deltas: [] }],
  ["a clientId of a lone surrogate", { clientId: "\ud800", deltas: [] }],
  ["a schemaVersion that is a text", { clientId: "alice", deltas: [], schemaVersion: "1" }],
  ["a schemaVersion that is broken", { clientId: "alice", deltas: [], schemaVersion: 1.5 }],
  ["a schemaVersion below 0", { clientId: "alice", deltas: [], schemaVersion: -1 }],
];
for (const [title, body] of notPushes) {
  test(`POST push of ${title} is VALIDATION_ERROR`, async () => {
    await using served = await serveGateway();
    await errorOf(await served.push(body), { status: 400, code: "VALIDATION_ERROR" });
    assertEquals(await headOf(served), 0);
  });
}

const good = pushBody([insertTodo("a", 1)], "alice");
/** An empty push whose clientId has these bytes. */
function pushBytes(...bytes: number[]): Uint8Array {
  const [before, after] = ['{"clientId":"al', 'ice","deltas":[]}'].map((text) => Buffer.from(text));
  return Buffer.concat([before!, Uint8Array.from(bytes), after!]);
}

const notJson: [title: string, body: string | Uint8Array, headers?: { [name: string]: string }][] =
  [
    ["that is empty", ""],
    ["that is no JSON", "clientId=alice"],
    ["that is cut off", good.slice(0, -1)],
    ["with something behind it", `${good}x`],
    ["of two values", `${good}${good}`],
    ["with a byte order mark", `\ufeff${good}`],
    ["with NaN", '{"clientId":"alice","deltas":[NaN]}'],
    // As good as any but for these bytes.
    ["that is not UTF-8", pushBytes(0xff)],
    ["of an overlong form of UTF-8", pushBytes(0xc0, 0xaf)],
    ["of a surrogate in UTF-8", pushBytes(0xed, 0xa0, 0x80)],
    ["that is cut off within a character", Uint8Array.from([0x22, 0xe2, 0x82])],
    ["that is said to be gzip and is not", good, { "content-encoding": "gzip" }],
    ["of half a gzip", gzipSync(good).subarray(0, 60), { "content-encoding": "gzip" }],
    ["in an encoding that is not known", good, { "content-encoding": "br" }],
    ["in a stack of encodings", good, { "content-encoding": "gzip, gzip" }],
    ["of 4 million brackets", "[".repeat(4_000_000)],
  ];
for (const [title, body, headers = {}] of notJson) {
  test(`POST push with a body ${title} is VALIDATION_ERROR`, async () => {
    await using served = await serveGateway();
    const response = await served.push(undefined, { body: body as BodyInit, headers });
    await errorOf(response, { status: 400, code: "VALIDATION_ERROR" });
    assertEquals(await headOf(served), 0);
  });
}

test("POST push with a delta of another subject is FORBIDDEN as a whole, however good the rest", async () => {
  await using served = await serveGateway();
  const mine = insertTodo("a", 1);
  const foreign: unknown[] = [
    insertTodo("b", 2, "bob:phone"),
    insertTodo("b", 2, "alice2:phone"),
    insertTodo("b", 2, "Alice"),
    // What else is wrong with it does not matter.
    { ...insertTodo("b", 2), clientId: "bob:phone" },
    { clientId: "bob" },
  ];
  for (const delta of foreign) {
    const response = await served.push({ clientId: "alice:phone", deltas: [mine, delta] });
    const error = await errorOf(response, { status: 403, code: "FORBIDDEN" });
    assertEquals(error.details, { index: 1 });
  }
  assertEquals(await headOf(served), 0);
});

test("POST push with a greater schemaVersion than the gateway's is CONFLICT", async () => {
  await using served = await serveGateway();
  const body = { clientId: "alice:phone", deltas: [insertTodo("a", 1)] };
  const error = await errorOf(await served.push({ ...body, schemaVersion: 2 }), {
    status: 409,
    code: "CONFLICT",
  });
  assertEquals(error.details, { schemaVersion: 1 });
  assertEquals(await headOf(served), 0);
  assertEquals((await answerOf(await served.push({ ...body, schemaVersion: 1 }))).accepted, 1);
});

/** A delta that is wrong in one way, and the code that it is rejected with. */
const wrong: [title: string, code: RejectionCode, delta: unknown][] = [
  ["null", "SCHEMA_ERROR", null],
  ["a list", "SCHEMA_ERROR", []],
  ["of a table without schema", "SCHEMA_ERROR", { ...insertTodo("a", 1), table: "nowhere" }],
  ["of a table in another case", "SCHEMA_ERROR", { ...insertTodo("a", 1), table: "Todos" }],
  ["with an unknown column", "SCHEMA_ERROR", updateTodo("a", 1, { colour: "red" })],
  ["with the column id", "SCHEMA_ERROR", updateTodo("a", 1, { id: "red" })],
  ["with a value of another type", "SCHEMA_ERROR", updateTodo("a", 1, { done: "yes" })],
  ["with null for NOT NULL", "SCHEMA_ERROR", updateTodo("a", 1, { title: null })],
  ["with a column named twice", "SCHEMA_ERROR", {
    ...updateTodo("a", 1, {}),
    columns: [{ column: "done", value: true }, { column: "done", value: true }],
  }],
  ["with a column without value", "SCHEMA_ERROR", {
    ...updateTodo("a", 1, {}),
    columns: [{ column: "done" }],
  }],
  ["that inserts without a NOT NULL column", "SCHEMA_ERROR", {
    ...insertTodo("a", 1),
    columns: [{ column: "title", value: "t" }],
  }],
  ["that deletes with columns", "SCHEMA_ERROR", {
    ...deleteTodo("a", 1),
    columns: [{ column: "done", value: true }],
  }],
  ["with an unknown op", "SCHEMA_ERROR", { ...insertTodo("a", 1), op: "UPSERT" }],
  ["with an op in lower case", "SCHEMA_ERROR", { ...insertTodo("a", 1), op: "insert" }],
  ["with an hlc that is a number", "SCHEMA_ERROR", { ...insertTodo("a", 1), hlc: 1 }],
  ["with hlc 0", "SCHEMA_ERROR", { ...insertTodo("a", 1), hlc: "0" }],
  ["with an hlc of leading zeros", "SCHEMA_ERROR", { ...insertTodo("a", 1), hlc: "01" }],
  ["with an hlc of 65 bits", "SCHEMA_ERROR", {
    ...insertTodo("a", 1),
    hlc: "18446744073709551616",
  }],
  ["with an empty rowId", "SCHEMA_ERROR", { ...insertTodo("a", 1), rowId: "" }],
  ["with a rowId of 257 bytes", "SCHEMA_ERROR", { ...insertTodo("a", 1), rowId: "ü".repeat(129) }],
  ["with a rowId of a lone surrogate", "SCHEMA_ERROR", { ...insertTodo("a", 1), rowId: "\udc00" }],
  ["with a txId that is a number", "SCHEMA_ERROR", { ...insertTodo("a", 1), txId: 7 }],
  ["without deltaId", "SCHEMA_ERROR", { ...insertTodo("a", 1), deltaId: undefined }],
  ["with another's deltaId", "BAD_DELTA_ID", {
    ...insertTodo("a", 1),
    deltaId: insertTodo("b", 1).deltaId,
  }],
  ["that was changed after it was stamped", "BAD_DELTA_ID", { ...insertTodo("a", 1), hlc: "2" }],
  ["of more than 1 MiB", "TOO_LARGE", longTodo("a", 1, MIB)],
  ["of more than 1 MiB with what it does not need", "TOO_LARGE", {
    ...insertTodo("a", 1),
    junk: "x".repeat(MIB),
  }],
];
for (const [title, code, delta] of wrong) {
  test(`POST push rejects a delta ${title} as ${code} and takes the others`, async () => {
    await using served = await serveGateway();
    const before = insertTodo("before", 1);
    const after = insertTodo("after", 2);
    const response = await served.push({ clientId: "alice:phone", deltas: [before, delta, after] });
    const { accepted, rejected, seq } = await answerOf(response);
    assertEquals([accepted, seq, rejected.length], [2, 2, 1]);
    const { message, ...rest } = rejected[0]!;
    const sent = (delta as { deltaId?: string } | null)?.deltaId ?? "";
    assertEquals(rest, { index: 1, deltaId: sent, code });
    assert(message.length > 0 && !message.endsWith("."));
  });
}

test("POST push rejects with every other code too, and with no row value", async () => {
  const clock = new ManualClock();
  await using served = await serveGateway({ clock, limits: { retentionMs: 0 } });
  const stamp = (ms: number) => packHlc({ wallMs: clock.now() + ms, counter: 0 });
  const secret = { title: "s3cret" };
  const deltas = [
    updateTodo("a", 1, { title: "s3cret", colour: "s3cret" }, { txId: "t" }),
    updateTodo("a", 2, secret, { txId: "t" }),
    updateTodo("a", stamp(5_000), secret),
    updateTodo("a", stamp(5_001), secret),
    updateTodo("a", 3, secret),
    updateTodo("b", 4, { done: "s3cret" }),
  ];
  const response = await served.push({ clientId: "alice:phone", deltas });
  const text = await response.text();
  assert(!text.includes("s3cret"));
  const answer = JSON.parse(text) as PushAnswer;
  assertEquals(answer.rejected.map(({ index, code }) => [index, code]), [
    [0, "SCHEMA_ERROR"],
    [1, "TX_REJECTED"],
    [3, "CLOCK_DRIFT"],
    [4, "CLOCK_DRIFT"],
    [5, "CLOCK_DRIFT"],
  ]);
  assertEquals(answer.accepted, 1);
});

test("POST push rejects as STALE what is older than what was purged", async () => {
  await using served = await serveGateway();
  await served.push({ clientId: "alice:phone", deltas: [insertTodo("a", 5), deleteTodo("a", 10)] });
  const trimmed = await served.gateway.store.trim({ through: 2 });
  assert(trimmed.ok);
  const deltas = [updateTodo("a", 7, { title: "x" }), insertTodo("b", 11)];
  const { rejected, accepted } = await answerOf(
    await served.push({ clientId: "alice:tablet", deltas }),
  );
  assertEquals(rejected.map(({ index, code }) => [index, code]), [[0, "STALE"]]);
  assertEquals(accepted, 1);
});

test("POST push takes a delta of just under 1 MiB, and its text comes back as it was", async () => {
  await using served = await serveGateway();
  const delta = longTodo("a", 1, MIB - 1_000);
  assertEquals(
    (await answerOf(await served.push({ clientId: "alice:phone", deltas: [delta] }))).accepted,
    1,
  );
  const { deltas } = await (await served.pull()).json() as PullAnswer;
  assertEquals(deltas, [delta]);
});

test("POST push of more than 10,000 deltas is PAYLOAD_TOO_LARGE, of 10,000 it is taken", async () => {
  await using served = await serveGateway();
  const deltas = Array.from({ length: 10_001 }, (_, i) => insertTodo(`r${i}`, i + 1));
  const response = await served.push({ clientId: "alice:phone", deltas });
  await errorOf(response, { status: 413, code: "PAYLOAD_TOO_LARGE" });
  assertEquals(await headOf(served), 0);
  const fewer = await served.push({ clientId: "alice:phone", deltas: deltas.slice(1) });
  assertEquals((await answerOf(fewer)).accepted, 10_000);
});

test("POST push of a body of 8 MiB is read, of a byte more it is PAYLOAD_TOO_LARGE", async () => {
  await using served = await serveGateway();
  const exact = good.padEnd(8 * MIB);
  const bodies: [body: string | Uint8Array, headers: { [name: string]: string }][] = [
    [`${exact} `, {}],
    [gzipSync(`${exact} `), { "content-encoding": "gzip" }],
    [gzipSync("x".repeat(200 * MIB)), { "content-encoding": "gzip" }],
  ];
  for (const [body, headers] of bodies) {
    const response = await served.push(undefined, { body: body as BodyInit, headers });
    await errorOf(response, { status: 413, code: "PAYLOAD_TOO_LARGE" });
  }
  assertEquals(await headOf(served), 0);
  const plain = await answerOf(await served.push(undefined, { body: exact }));
  const packed = await answerOf(
    await served.push(undefined, {
      body: gzipSync(exact) as BodyInit,
      headers: { "content-encoding": "gzip" },
    }),
  );
  assertEquals([plain.accepted, packed.duplicates], [1, 1]);
});

test("POST push answers PAYLOAD_TOO_LARGE to a client that reads only once it has sent all", async () => {
  await using served = await serveGateway();
  for (const declared of [true, false]) {
    for (let i = 0; i < 5; i++) {
      const body = Buffer.alloc(12 * MIB, "x");
      const head = ["POST /v1/sync/default/push HTTP/1.1"];
      const answer = declared
        ? await rawRequest(served.port, [...head, `Content-Length: ${body.length}`], body)
        : await rawRequest(
          served.port,
          [...head, "Transfer-Encoding: chunked"],
          Buffer.concat([
            Buffer.from(`${body.length.toString(16)}\r\n`),
            body,
            Buffer.from("\r\n0\r\n\r\n"),
          ]),
        );
      assertEquals(answer?.status, 413, `declared: ${declared}`);
      const { error } = JSON.parse(Buffer.from(answer!.body).toString()) as {
        error: { code: string };
      };
      assertEquals(error.code, "PAYLOAD_TOO_LARGE");
    }
  }
});

test("POST push refuses a body for the length that it declares, before it comes", async () => {
  await using served = await serveGateway();
  using connection = new RawConnection(served.port);
  connection.send(
    "POST /v1/sync/default/push HTTP/1.1\r\nHost: g\r\nConnection: close\r\n" +
      `Content-Length: ${9 * MIB}\r\n\r\n`,
  );
  await until(() => connection.received > 0);
  connection.send("x".repeat(9 * MIB));
  assertEquals((await connection.answer())?.status, 413);
});

test("POST push takes a chunked body without a length, sent in pieces", async () => {
  await using served = await serveGateway();
  using connection = new RawConnection(served.port);
  connection.send(
    "POST /v1/sync/default/push HTTP/1.1\r\nHost: g\r\nConnection: close\r\n" +
      "Transfer-Encoding: chunked\r\n\r\n",
  );
  const body = Buffer.from(pushBody([insertTodo("ü", 1)]));
  for (let i = 0; i < body.length; i += 7) {
    const piece = body.subarray(i, i + 7);
    connection.send(`${piece.length.toString(16)}\r\n`);
    connection.send(piece);
    connection.send("\r\n");
  }
  connection.send("0\r\n\r\n");
  const answer = await connection.answer();
  assertEquals(answer?.status, 200);
  assertEquals((JSON.parse(Buffer.from(answer!.body).toString()) as PushAnswer).accepted, 1);
});

test("POST push reads a body in gzip", async () => {
  await using served = await serveGateway();
  const response = await served.push(undefined, {
    body: gzipSync(pushBody([insertTodo("a", 1)])) as BodyInit,
    headers: { "content-encoding": "GZIP" },
  });
  assertEquals((await answerOf(response)).accepted, 1);
});

test("POST push takes rows, tables and columns of names that objects have by themselves", async () => {
  await using served = await serveGateway();
  const deltas = [insertTodo("__proto__", 1), insertTodo("constructor", 2)];
  const proto = makeDelta({
    op: "INSERT",
    table: "__proto__",
    rowId: "toString",
    clientId: "alice:phone",
    hlc: "3",
    columns: [{ column: "constructor", value: "c" }],
  });
  const body = { clientId: "alice:phone", deltas: [...deltas, proto] };
  assertEquals((await answerOf(await served.push(body))).accepted, 3);
  const page = await (await served.pull()).json() as PullAnswer;
  assertEquals(page.deltas, [...deltas, proto]);
});
