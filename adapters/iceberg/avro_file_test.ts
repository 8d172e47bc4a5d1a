import avsc from "avsc";
import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import type { AvroSchema } from "./avro.ts";
import { decodeAvroFile, encodeAvroFile } from "./avro_file.ts";

const schema: AvroSchema = {
  type: "record",
  name: "row",
  fields: [{ name: "n", type: "int" }, { name: "t", type: ["null", "string"], default: null }],
};
const sync = new Uint8Array(16).fill(7);
const metadata = new Map([["content", "data"]]);
const many = Array.from({ length: 20_000 }, (_, n) => ({ n, t: n % 3 === 0 ? null : `text ${n}` }));

/** What avsc writes through a stream, whole. */
function written(codec: "null" | "deflate"): Promise<Uint8Array> {
  const encoder = new avsc.streams.BlockEncoder(structuredClone(schema) as avsc.Schema, { codec });
  const chunks: Uint8Array[] = [];
  return new Promise((resolve, reject) => {
    encoder.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    encoder.on("error", reject);
    encoder.on("end", () => resolve(Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))));
    for (const record of many) encoder.write(record);
    encoder.end();
  });
}

/** What avsc reads from a file. */
function read(file: Uint8Array): Promise<unknown[]> {
  const decoder = new avsc.streams.BlockDecoder();
  const records: unknown[] = [];
  return new Promise((resolve, reject) => {
    decoder.on("data", (record: unknown) => records.push(record));
    decoder.on("error", reject);
    decoder.on("end", () => resolve(records));
    decoder.end(globalThis.Buffer.from(file));
  });
}

test("decodeAvroFile() reads what encodeAvroFile() made, in one block or many", async () => {
  for (const records of [[], many.slice(0, 1), many]) {
    const file = await decodeAvroFile(encodeAvroFile({ schema, metadata, records }, sync));
    assertEquals(file.schema, schema);
    assertEquals(file.metadata.get("content"), "data");
    assertEquals(file.metadata.get("avro.codec"), "null");
    assertEquals([...file.records], records);
  }
});

test("encodeAvroFile() makes a file that avsc reads", async () => {
  const records = await read(encodeAvroFile({ schema, metadata, records: many }, sync));
  assertEquals(records.map((record) => ({ ...record as object })), many);
});

test("decodeAvroFile() reads plain and compressed files of avsc", async () => {
  for (const codec of ["null", "deflate"] as const) {
    assertEquals([...(await decodeAvroFile(await written(codec))).records], many);
  }
});

test("decodeAvroFile() refuses every truncated file with a RangeError", async () => {
  const whole = encodeAvroFile({ schema, metadata, records: many.slice(0, 20) }, sync);
  const header = encodeAvroFile({ schema, metadata, records: [] }, sync).length;
  for (let end = 0; end < whole.length; end++) {
    // A file that ends with its header is one without records.
    if (end === header) continue;
    await assertRejects(() => decodeAvroFile(whole.subarray(0, end)), RangeError);
  }
});

test("decodeAvroFile() of a damaged file ends, with a RangeError where it notices", async () => {
  const whole = encodeAvroFile({ schema, metadata, records: many.slice(0, 20) }, sync);
  let noticed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const damaged = whole.slice();
        damaged[at]! ^= flip;
        try {
          await decodeAvroFile(damaged);
        } catch (thrown) {
          noticed++;
          assertEquals(thrown instanceof RangeError, true);
        }
      },
    ),
    { seed: 42, numRuns: 500 },
  );
  assertEquals(noticed > 100, true);
});

test("decodeAvroFile() refuses a codec that it does not know", async () => {
  const file = encodeAvroFile({ schema, metadata, records: many }, sync);
  const text = new TextDecoder("latin1").decode(file);
  const codec = text.indexOf("avro.codec") + "avro.codec".length + 1;
  assertEquals(text.slice(codec, codec + 4), "null");
  file.set(new TextEncoder().encode("zstd"), codec);
  await assertRejects(() => decodeAvroFile(file), RangeError, "zstd");
});
