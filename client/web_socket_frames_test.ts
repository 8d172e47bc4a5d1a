import {
  encodeGatewayFrame,
  LakeSyncError,
  unwrapOrThrow,
  type WsGatewayMessage,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { foreignDelta, rowsOf } from "./testdata/bench.ts";
import { milk, withSockets } from "./testdata/socket_bench.ts";
import { jsonFrames } from "./_frames.ts";
import { protobufFrames } from "./protobuf.ts";

const AUTO = { auto: true, intervalMs: 5_000 };

const GARBAGE: readonly (string | Uint8Array)[] = [
  "",
  "nonsense",
  "null",
  "[]",
  `{"type":"page"}`,
  `{"type":"page","id":"1","deltas":{},"cursor":"","seq":1,"hasMore":false,"serverHlc":"1"}`,
  `{"type":"toString"}`,
  `{"type":"error","id":"1"}`,
  `{"type":"error","error":{"code":"VALIDATION_ERROR","message":"What was that?"}}`,
  `{"type":"answer","id":{}}`,
  new Uint8Array(),
  new Uint8Array([255, 255, 255]),
];

test("a frame that is no message ends the socket, and all goes on over the next", () =>
  withSockets(async (bench) => {
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    await bench.clock.advance(0);
    for (const [i, data] of GARBAGE.entries()) {
      const before = bench.sockets.tries.length;
      bench.sockets.last.say(data);
      bench.append(`${i}`);
      await bench.clock.advance(60_000);
      assertEquals(bench.sockets.tries.length, before + 1, `after ${data}`);
    }
    assertEquals((await rowsOf(client)).length, GARBAGE.length);
    assertEquals(client.status.state, "idle");
  }));

/** Messages with the right form and any content, and bytes. */
const anyFrame: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  fc.json(),
  fc.uint8Array({ maxLength: 200 }),
  fc.record({
    type: fc.constantFrom("page", "answer", "error", "ping", "push"),
    id: fc.option(fc.constantFrom("1", "2", "3", 1, null), { nil: undefined }),
    deltas: fc.array(fc.oneof(
      fc.jsonValue(),
      fc.record({
        op: fc.constantFrom("INSERT", "UPDATE", "DELETE", "ENTER", "REMOVE", "OWN", "constructor"),
        table: fc.constantFrom("todos", "__proto__", 1),
        rowId: fc.constantFrom("1", "", 7, null),
        columns: fc.jsonValue(),
        hlc: fc.constantFrom("1", "x", 1, null),
        life: fc.jsonValue(),
        deltaId: fc.constantFrom("", 1),
      }, { requiredKeys: ["op"] }),
    )),
    cursor: fc.string(),
    seq: fc.oneof(fc.integer(), fc.double()),
    hasMore: fc.boolean(),
    serverHlc: fc.constantFrom("1", "-1", "x", "99999999999999999999999"),
    accepted: fc.integer(),
    duplicates: fc.integer(),
    rejected: fc.array(fc.jsonValue()),
    error: fc.oneof(fc.jsonValue(), fc.record({ code: fc.constantFrom("INTERNAL", "__proto__") })),
  }, { requiredKeys: ["type"] }).map((message) => JSON.stringify(message)),
);

test("whatever a socket sends, the client neither throws nor hangs, and converges after it", () =>
  withSockets(async (bench) => {
    const client = await bench.client({ transport: bench.transport(), sync: AUTO });
    let rows = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 10 }), async (frames) => {
        await bench.clock.advance(120_000);
        assertEquals(client.status.state, "idle");
        for (const frame of frames) bench.sockets.all.at(-1)?.say(frame);
        unwrapOrThrow(await client.tables.todos.insert(milk(`${rows++}`)));
        await bench.clock.advance(0);
      }),
      { seed: 42, numRuns: 300 },
    );
    // What was forged may have been believed: a page says what it says. The next checkpoint rights it.
    bench.gateway.setRule(() => true);
    await bench.clock.advance(600_000);
    assertEquals(client.status.state, "idle");
    assertEquals((await rowsOf(client)).length, rows);
    assertEquals(bench.gateway.visible("todos").size, rows);
  }));

test("mutated frames of a gateway are read or refused, never thrown at", () => {
  const page: WsGatewayMessage = {
    type: "page",
    id: "1",
    deltas: [foreignDelta({ columns: { title: "ä", done: true, rank: 1.5 } }), {
      op: "REMOVE",
      table: "todos",
      rowId: "1",
    }],
    cursor: "c",
    seq: 1,
    hasMore: false,
    serverHlc: "1",
  };
  const bytes = encodeGatewayFrame(page);
  const text = JSON.stringify(page);
  assertEquals(
    unwrapOrThrow(protobufFrames.decode(bytes)),
    unwrapOrThrow(jsonFrames.decode(text)),
  );
  assert(!protobufFrames.decode(text).ok);
  assert(!jsonFrames.decode(bytes).ok);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (cuts) => {
        const mutated = bytes.slice();
        let cut = text;
        for (const [at, byte] of cuts) {
          mutated[at % mutated.length] = byte;
          cut = cut.slice(0, at % cut.length) + String.fromCharCode(byte) +
            cut.slice((at % cut.length) + 1);
        }
        const results = [
          protobufFrames.decode(mutated),
          protobufFrames.decode(mutated.slice(0, cuts[0]![0] % bytes.length)),
          jsonFrames.decode(cut),
        ];
        for (const decoded of results) {
          if (!decoded.ok) assert(decoded.error instanceof LakeSyncError);
        }
      },
    ),
    { seed: 42, numRuns: 10_000 },
  );
});
