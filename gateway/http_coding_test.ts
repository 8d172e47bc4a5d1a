// How bodies are packed, each way.
import { Buffer } from "node:buffer";
import process from "node:process";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { encodePushRequest } from "@lakesync/core";
import { insertTodo, Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { chooseCoding, type Coding, CODINGS, pack, unpack } from "./http_coding.ts";
import { errorOf, pushBody, serveGateway } from "./testdata/http_fixture.ts";
import { zstdFrames } from "./zstd_frames.ts";

const MIB = 2 ** 20;

test("an answer is packed as its caller likes best, and best where it likes several alike", () => {
  for (
    const [accepted, coding] of [
      [null, undefined],
      ["", undefined],
      ["identity", undefined],
      ["br", undefined],
      ["gzip", "gzip"],
      ["zstd", "zstd"],
      ["gzip, deflate, br, zstd", "zstd"],
      ["GZIP;Q=0.5 , zstd;q=0.4", "gzip"],
      ["gzip;q=0, zstd;q=0.1", "zstd"],
      ["zstd;q=0.0", undefined],
      ["gzip;q=none", undefined],
    ] as const
  ) assertEquals(chooseCoding(accepted), coding, String(accepted));
  assertEquals(chooseCoding("zstd, gzip;q=0.1", ["gzip"]), "gzip");
});

test("both codings unpack to what was packed", () => {
  const prng = new Prng(42);
  for (const coding of CODINGS) {
    for (const length of [0, 1, 1_000, 300_000]) {
      for (const noise of [1, 255]) {
        const body = Uint8Array.from({ length }, () => prng.int(0, noise));
        const back = unpack(pack(body, coding), coding, Math.max(1, length));
        assert(back.ok, `${coding} ${length}`);
        assertEquals(back.value.length, length);
        assert(back.value.every((byte, i) => byte === body[i]));
      }
    }
  }
});

const PACKERS: Readonly<Record<Coding, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: gzipSync,
  zstd: zstdCompressSync,
};

test("what is packed and does not come whole is refused, wherever it breaks off", () => {
  const prng = new Prng(42);
  const body = Uint8Array.from({ length: 300_000 }, () => prng.int(0, 30));
  for (const coding of CODINGS) {
    const packed = PACKERS[coding](body);
    for (let i = 0; i < 200; i++) {
      const part = packed.subarray(0, prng.int(0, packed.length - 1));
      const unpacked = unpack(part, coding, MIB);
      assert(
        !unpacked.ok && unpacked.error.code === "VALIDATION_ERROR",
        `${coding} ${part.length}`,
      );
    }
  }
});

test("random and damaged bytes are unpacked or refused, and never more than is allowed", () => {
  const prng = new Prng(42);
  for (const coding of CODINGS) {
    const valid = PACKERS[coding](new Uint8Array(5_000).fill(7));
    for (let i = 0; i < 1_000; i++) {
      const bytes = prng.int(0, 1) === 0
        ? Uint8Array.from({ length: prng.int(0, 100) }, () => prng.int(0, 255))
        : valid.slice();
      for (let n = prng.int(1, 3); n > 0 && bytes.length > 0; n--) {
        bytes[prng.int(0, bytes.length - 1)] = prng.int(0, 255);
      }
      const unpacked = unpack(bytes, coding, 4_000);
      assert(!unpacked.ok || unpacked.value.length <= 4_000);
    }
  }
});

test("a zstd body of several frames is all of them", () => {
  const frames = ["one ", "two ", "", "three"].map((text) => zstdCompressSync(text));
  const unpacked = unpack(Buffer.concat(frames), "zstd", 13);
  assertEquals(unpacked.ok && new TextDecoder().decode(unpacked.value), "one two three");
  const larger = unpack(Buffer.concat(frames), "zstd", 12);
  assertEquals(!larger.ok && larger.error.code, "PAYLOAD_TOO_LARGE");
  const many = unpack(Buffer.concat(Array(1_000).fill(frames[2])), "zstd", 13);
  assertEquals(!many.ok && many.error.code, "VALIDATION_ERROR");
});

test("zstd frames are whole, and ask for no larger window than HTTP allows", () => {
  const frame = zstdCompressSync(new Uint8Array(100_000).fill(1));
  assert(zstdFrames(frame) !== undefined);
  assertEquals(zstdFrames(new Uint8Array([...frame, 0])), undefined, "something after it");
  assertEquals(zstdFrames(gzipSync("x")), undefined, "another format");
  assertEquals(zstdFrames(new Uint8Array()), undefined, "nothing");
  // A window of 8 MiB, and of the next size; then an empty last block.
  const head = [0x28, 0xb5, 0x2f, 0xfd, 0x00];
  assertEquals(zstdFrames(new Uint8Array([...head, 13 << 3, 1, 0, 0]))?.length, 1);
  assertEquals(zstdFrames(new Uint8Array([...head, (13 << 3) | 1, 1, 0, 0])), undefined);
  // A single segment of 16 MiB.
  const segment = [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 1, 1, 0, 0];
  assertEquals(zstdFrames(new Uint8Array(segment)), undefined);
});

test("a push is taken in every coding, as JSON and as protobuf", async () => {
  await using served = await serveGateway();
  let hlc = 1;
  for (const coding of CODINGS) {
    for (const protobuf of [false, true]) {
      const deltas = [insertTodo(`${coding} ${protobuf}`, hlc++)];
      const body = protobuf
        ? encodePushRequest({ clientId: "alice:phone", deltas })
        : new TextEncoder().encode(pushBody(deltas));
      const response = await served.push(undefined, {
        body: PACKERS[coding](body) as BodyInit,
        headers: {
          "content-encoding": coding,
          "content-type": protobuf ? "application/x-protobuf" : "application/json",
          accept: "application/json",
        },
      });
      assertEquals((await response.json() as { accepted: number }).accepted, 1, coding);
    }
  }
});

test("a bomb is cut off at the limit in every coding", async () => {
  await using served = await serveGateway();
  for (const coding of CODINGS) {
    const bomb = PACKERS[coding](new Uint8Array(256 * MIB));
    const before = process.memoryUsage().rss;
    const response = await served.push(undefined, {
      body: bomb as BodyInit,
      headers: { "content-encoding": coding },
    });
    await errorOf(response, { status: 413, code: "PAYLOAD_TOO_LARGE" });
    const grown = (process.memoryUsage().rss - before) / MIB;
    assert(grown < 100, `${coding} grew by ${grown} MiB`);
  }
});

test("a zstd body that breaks off is 400 and appends nothing", async () => {
  await using served = await serveGateway();
  const packed = zstdCompressSync(pushBody([insertTodo("a", 1)]));
  for (const body of [packed.subarray(0, 30), packed.subarray(0, -1), new Uint8Array()]) {
    const response = await served.push(undefined, {
      body: body as BodyInit,
      headers: { "content-encoding": "zstd" },
    });
    await errorOf(response, { status: 400, code: "VALIDATION_ERROR" });
  }
  assertEquals((await served.gateway.stats()).ok && (await served.gateway.store.head()), {
    ok: true,
    value: { seq: 0, hash: "0" },
  });
});

test("a large answer comes in the coding that its caller accepts", async () => {
  await using served = await serveGateway();
  const deltas = Array.from({ length: 50 }, (_, i) => insertTodo(`t${i}`, i + 1));
  await served.push({ clientId: "alice:phone", deltas });
  const plain = await served.pull();
  const expected = JSON.parse(await plain.text()) as { deltas: unknown };
  const unpackers = { gzip: gunzipSync, zstd: zstdDecompressSync };
  for (const coding of CODINGS) {
    const answer = await served.handler.fetch(
      new Request(`${served.url}/v1/sync/default/pull?clientId=bob`, {
        headers: { "accept-encoding": coding },
      }),
    );
    assertEquals(answer.headers.get("content-encoding"), coding);
    assertEquals(answer.headers.get("vary"), "accept-encoding");
    const text = unpackers[coding](new Uint8Array(await answer.arrayBuffer())).toString();
    assertEquals((JSON.parse(text) as { deltas: unknown }).deltas, expected.deltas);
  }
});
