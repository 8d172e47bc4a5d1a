import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import type { Delta } from "../delta.ts";
import { isHlc } from "../hlc.ts";
import type { JsonValue } from "../json.ts";
import { type Result, unwrapOrThrow } from "../result.ts";
import type { PageItem, PullAnswer, PushAnswer } from "../wire.ts";
import type { WsClientMessage, WsGatewayMessage } from "../ws_messages.ts";
import { decodeCheckpointFrames, encodeCheckpointFrame } from "./checkpoint.ts";
import {
  decodeErrorBody,
  decodeJsonBody,
  decodePullAnswer,
  decodePushAnswer,
  decodePushRequest,
  encodeErrorBody,
  encodeJsonBody,
  encodePullAnswer,
  encodePushAnswer,
  encodePushRequest,
} from "./codec.ts";
import {
  decodeClientFrame,
  decodeGatewayFrame,
  encodeClientFrame,
  encodeGatewayFrame,
} from "./frame.ts";
import { type Delta as Proto, PushRequestSchema } from "./sync_pb.ts";

// ---------------------------------------------------------------------------------------------
// Anything that the protocol can say

const text = fc.string({ unit: "grapheme" });
const name = fc.oneof(
  fc.constantFrom("todos", "__proto__", "constructor", "toString"),
  fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,10}$/),
);
const hlc = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String);
const deltaId = fc.uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
const value: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.constantFrom<JsonValue>(
    0,
    1.5,
    -1,
    5e-324,
    1e300,
    2 ** 53,
    -(2 ** 53),
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    "9223372036854775807",
    "-9223372036854775808",
    "9007199254740993",
    "",
    "/w==",
    "2025-01-01T00:00:00.000000Z",
    null,
    true,
    false,
    [],
    {},
    { __proto__: null, a: [1, { b: null }] } as unknown as JsonValue,
    JSON.parse('{"__proto__":{"x":1},"constructor":[1e21,-0.5]}') as JsonValue,
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n === 0 ? 0 : n),
  fc.maxSafeInteger(),
  text,
  fc.jsonValue({ noUnicodeString: false }).map((json) =>
    JSON.parse(JSON.stringify(json)) as JsonValue
  ),
);
const tx = fc.option(text.filter((id) => id !== ""), { nil: undefined });
const delta: fc.Arbitrary<Delta> = fc.record({
  op: fc.constantFrom("INSERT", "UPDATE", "DELETE"),
  table: name,
  rowId: text,
  clientId: text,
  columns: fc.array(fc.record({ column: name, value }), { maxLength: 4 }),
  hlc,
  deltaId,
}).chain((delta) => tx.map((txId) => ({ ...delta, ...(txId !== undefined && { txId }) })));
const row = fc.record({
  table: name,
  rowId: text,
  life: fc.tuple(hlc, text),
  columns: fc.array(fc.tuple(name, fc.tuple(value, hlc, text)), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries)),
});
const seq = fc.oneof(
  fc.maxSafeInteger().map(Math.abs),
  fc.array(fc.tuple(name, fc.maxSafeInteger().map(Math.abs)), { minLength: 1, maxLength: 3 })
    .map((shards) => Object.fromEntries(shards)),
);
const item: fc.Arbitrary<PageItem> = fc.oneof(
  delta,
  tx.chain((txId) => {
    const more = txId === undefined ? {} : { txId };
    return fc.oneof<fc.Arbitrary<PageItem>[]>(
      deltaId.map((deltaId) => ({ op: "OWN", deltaId, ...more })),
      fc.record({ op: fc.constantFrom("DELETE", "REMOVE"), table: name, rowId: text })
        .map((gone) => ({ ...gone, ...more })),
      row.map((row) => ({ op: "ENTER", ...row, ...more })),
    );
  }),
);
const page: fc.Arbitrary<PullAnswer> = fc.record({
  deltas: fc.array(item, { maxLength: 5 }),
  cursor: text,
  seq,
  hasMore: fc.boolean(),
  serverHlc: hlc,
});
const count = fc.nat();
const pushAnswer: fc.Arbitrary<PushAnswer> = fc.record({
  accepted: count,
  duplicates: count,
  rejected: fc.array(
    fc.record({
      index: count,
      deltaId: text,
      code: fc.constantFrom("SCHEMA_ERROR", "CLOCK_DRIFT", "STALE"),
      message: text,
    }),
    { maxLength: 3 },
  ),
  seq,
  serverHlc: hlc,
});
const errorBody = fc.record({
  code: fc.constantFrom("CONFLICT", "INTERNAL", "CHECKPOINT_REQUIRED"),
  message: text,
  requestId: text,
}).chain((error) =>
  fc.option(fc.dictionary(name, value), { nil: undefined }).map((details) => ({
    error: {
      ...error,
      // What a JSON text gives back, also for a key __proto__.
      ...(details !== undefined && {
        details: JSON.parse(JSON.stringify(details)) as { [key: string]: JsonValue },
      }),
    },
  }))
);
const version = fc.option(fc.nat(), { nil: undefined })
  .map((schemaVersion) => schemaVersion === undefined ? {} : { schemaVersion });
const pushRequest = fc.record({ clientId: text, deltas: fc.array(delta, { maxLength: 5 }) })
  .chain((push) => version.map((version) => ({ ...push, ...version })));
const id = fc.option(text, { nil: undefined }).map((id) => id === undefined ? {} : { id });
const clientMessage: fc.Arbitrary<WsClientMessage> = id.chain((id) =>
  fc.oneof<fc.Arbitrary<WsClientMessage>[]>(
    pushRequest.map((push) => ({ type: "push", ...id, ...push })),
    fc.tuple(
      fc.record({ clientId: text, cursor: text }),
      fc.constantFrom({}, { limit: 7 }, { tables: ["a", "b"], own: "ids" as const }),
      version,
    ).map(([pull, more, version]) => ({ type: "pull", ...id, ...pull, ...more, ...version })),
    fc.constant({ type: "ping", ...id }),
  )
);
const gatewayMessage: fc.Arbitrary<WsGatewayMessage> = id.chain((id) =>
  fc.oneof<fc.Arbitrary<WsGatewayMessage>[]>(
    page.map((page) => ({ type: "page", ...id, ...page })),
    pushAnswer.map((answer) => ({ type: "answer", ...id, ...answer })),
    errorBody.map((body) => ({ type: "error", ...id, ...body })),
    fc.constant({ type: "ping", ...id }),
  )
);
const line = fc.oneof(
  fc.record({ seq, cursor: text, tables: fc.array(name, { maxLength: 3 }) })
    .map((checkpoint) => ({ checkpoint })),
  row,
  fc.nat().map((rows) => ({ end: { rows } })),
);

// ---------------------------------------------------------------------------------------------

/** The same JSON: as text, because that tells −0 and the order of keys apart. */
function assertSame(actual: unknown, expected: unknown): void {
  assertEquals(actual, expected);
  assertEquals(JSON.parse(JSON.stringify(actual)), JSON.parse(JSON.stringify(expected)));
}

function roundTrips<T>(
  arbitrary: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => Result<unknown>,
): void {
  fc.assert(
    fc.property(arbitrary, (value) => assertSame(unwrapOrThrow(decode(encode(value))), value)),
    { seed: 42, numRuns: 500 },
  );
}

test("every push comes back as the very same JSON", () =>
  roundTrips(pushRequest, encodePushRequest, decodePushRequest));

test("every answer to a push comes back as the very same JSON", () =>
  roundTrips(pushAnswer, encodePushAnswer, decodePushAnswer));

test("every page comes back as the very same JSON", () =>
  roundTrips(page, encodePullAnswer, decodePullAnswer));

test("every error comes back as the very same JSON", () =>
  roundTrips(errorBody, encodeErrorBody, decodeErrorBody));

test("every other body comes back as the very same JSON", () =>
  roundTrips(value, (value) => encodeJsonBody(JSON.stringify(value)), decodeJsonBody));

test("every message of a client comes back as the very same JSON", () =>
  roundTrips(clientMessage, encodeClientFrame, decodeClientFrame));

test("every message of a gateway comes back as the very same JSON", () =>
  roundTrips(gatewayMessage, encodeGatewayFrame, decodeGatewayFrame));

test("every line of a checkpoint comes back as the very same JSON, wherever the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
      async (lines, cuts) => {
        const stream = cut(await joined(lines.map(encodeCheckpointFrame)), cuts);
        const back: unknown[] = [];
        for await (const chunk of decodeCheckpointFrames(stream)) back.push(...chunk);
        assertSame(back, lines);
      },
    ),
    { seed: 42, numRuns: 300 },
  );
});

async function joined(parts: readonly Uint8Array<ArrayBuffer>[]): Promise<Uint8Array> {
  return new Uint8Array(await new Blob([...parts]).arrayBuffer());
}

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test("a checkpoint that breaks off within a frame is told from a whole one", async () => {
  const bytes = encodeCheckpointFrame({ end: { rows: 3 } });
  for (let length = 1; length < bytes.length; length++) {
    assertEquals(await codeOf(cut(bytes.subarray(0, length), [1])), "VALIDATION_ERROR");
  }
  assertEquals(await codeOf(cut(bytes, [1])), undefined);
});

test("a frame of a checkpoint that says it is huge is refused before it is waited for", async () => {
  const huge = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
  assertEquals(await codeOf(cut(huge, [6])), "VALIDATION_ERROR");
  const large = new Uint8Array([0x80, 0x80, 0x80, 0x40, 1, 2, 3]);
  assertEquals(await codeOf(cut(large, [7])), "VALIDATION_ERROR");
});

async function codeOf(stream: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  try {
    for await (const _ of decodeCheckpointFrames(stream));
    return undefined;
  } catch (thrown) {
    return (thrown as { code?: string }).code;
  }
}

// ---------------------------------------------------------------------------------------------
// Bytes from anyone

const DECODERS: readonly (readonly [string, (bytes: Uint8Array) => Result<unknown>])[] = [
  ["push", decodePushRequest],
  ["push answer", decodePushAnswer],
  ["page", decodePullAnswer],
  ["error", decodeErrorBody],
  ["json", decodeJsonBody],
  ["client frame", decodeClientFrame],
  ["gateway frame", decodeGatewayFrame],
];

/** A decoder gives a message that JSON has a form for, or an error with a code. */
function holds(bytes: Uint8Array): void {
  for (const [name, decode] of DECODERS) {
    const decoded = decode(bytes);
    if (decoded.ok) JSON.stringify(decoded.value);
    else {
      assertEquals(decoded.error.code, "VALIDATION_ERROR", name);
      assert(!decoded.error.message.endsWith("."), name);
    }
  }
}

test("random bytes are a message or a coded error to every decoder", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), holds), { seed: 42, numRuns: 3_000 });
});

test("a valid message that was damaged is a message or a coded error to every decoder", () => {
  const valid = fc.oneof(
    pushRequest.map(encodePushRequest),
    page.map(encodePullAnswer),
    clientMessage.map(encodeClientFrame),
    gatewayMessage.map(encodeGatewayFrame),
  );
  const damage = fc.array(
    fc.record({ at: fc.nat(), byte: fc.nat(255), how: fc.constantFrom("set", "cut", "repeat") }),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(valid, damage, (bytes, damages) => {
      let damaged: Uint8Array = bytes;
      for (const { at, byte, how } of damages) {
        const place = at % (damaged.length + 1);
        if (how === "cut") damaged = damaged.slice(0, place);
        else if (how === "repeat") damaged = new Uint8Array([...damaged, ...damaged.slice(place)]);
        else {
          damaged = damaged.slice();
          if (place < damaged.length) damaged[place] = byte;
        }
      }
      holds(damaged);
    }),
    { seed: 42, numRuns: 3_000 },
  );
});

test("deep nesting overflows no decoder", () => {
  const groups = new Uint8Array(200_000).fill(0x7b); // field 15, a group that never ends
  holds(groups);
  const nested = encodeJsonBody("[".repeat(100_000) + "]".repeat(100_000));
  for (const [, decode] of DECODERS) assertEquals(typeof decode(nested).ok, "boolean");
});

test("a length that is not there costs no memory", () => {
  // Field 2, two gigabytes long, and nothing of it.
  holds(new Uint8Array([0x12, 0xff, 0xff, 0xff, 0xff, 0x07]));
});

test("a message of millions of empty ones is refused before it is decoded", () => {
  const deltas = new Uint8Array(4_000_000);
  for (let i = 0; i < deltas.length; i += 2) deltas[i] = 0x12;
  const push = decodePushRequest(deltas);
  assertEquals(!push.ok && push.error.code, "PAYLOAD_TOO_LARGE");
  // One delta, of as many empty columns.
  const columns = new Uint8Array(4_000_000);
  for (let i = 0; i < columns.length; i += 2) columns[i] = 0x2a;
  const nested = new Uint8Array([0x12, 0x80, 0x92, 0xf4, 0x01, ...columns]);
  const one = decodePushRequest(nested);
  assertEquals(!one.ok && one.error.code, "PAYLOAD_TOO_LARGE");
});

test("a malformed delta of a push is left for the gateway to refuse alone", () => {
  const none = toBinary(
    PushRequestSchema,
    create(PushRequestSchema, {
      clientId: "a",
      deltas: [{
        op: 99 as Proto["op"],
        columns: [{ column: "x", value: { kind: { case: "number", value: NaN } } }, {
          column: "y",
          value: { kind: { case: "json", value: "[" } },
        }, { column: "z" }],
      }],
    }),
  );
  const { deltas } = unwrapOrThrow(decodePushRequest(none)) as { deltas: Delta[] };
  const [delta] = deltas;
  assertEquals(delta!.op, undefined);
  assertEquals(
    delta!.columns.map(({ value }) => value),
    [undefined, undefined, undefined] as never,
  );
  assert(!isHlc(delta!.hlc));
});

test("an integer has the form of JSON whatever its protobuf: a number where it is safe", () => {
  const of = (value: JsonValue) => {
    const bytes = encodePushRequest({
      clientId: "a",
      deltas: [{
        op: "UPDATE",
        table: "t",
        rowId: "r",
        clientId: "a",
        columns: [{ column: "x", value }],
        hlc: "1",
        deltaId: "00",
      }],
    });
    const { deltas } = unwrapOrThrow(decodePushRequest(bytes)) as { deltas: Delta[] };
    return deltas[0]!.columns[0]!.value;
  };
  assertEquals(of(2 ** 53 - 1), 2 ** 53 - 1);
  assertEquals(of("9007199254740993"), "9007199254740993");
  assert(Object.is(of(-0), 0), "-0 is 0");
});

test("the tables that a gateway tells, and the tag that asks for them, go there and back", () => {
  const page = { deltas: [], cursor: "c", seq: 0, hasMore: false, serverHlc: "65536" };
  const columns = [{ name: "constructor", type: "json", nullable: true }] as const;
  const told = {
    ...page,
    schema: { tag: "t", tables: [{ table: "__proto__", version: 2, columns }] },
  };
  assertEquals(unwrapOrThrow(decodePullAnswer(encodePullAnswer(told))), told);
  const frame = { type: "page", id: "1", ...told } as const;
  assertEquals(unwrapOrThrow(decodeGatewayFrame(encodeGatewayFrame(frame))), frame);
  for (const schema of ["", "t"]) {
    const pull = { type: "pull", clientId: "a", cursor: "c", schema } as const;
    assertEquals(unwrapOrThrow(decodeClientFrame(encodeClientFrame(pull))), pull);
  }
  const later = [{ name: "x", type: "counter" }] as unknown as typeof columns;
  const unknown = {
    ...told,
    schema: { tag: "t", tables: [{ table: "x", version: 1, columns: later }] },
  };
  assertEquals(
    unwrapOrThrow(decodePullAnswer(encodePullAnswer(unknown))),
    page,
    "of a later version",
  );
});
