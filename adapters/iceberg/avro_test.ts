import avsc from "avsc";
import fc from "fast-check";
import { test } from "@lakesync/testing";
import { assertEquals, assertThrows } from "@std/assert";
import { type AvroField, type AvroSchema, type AvroValue, readAvro, writeAvro } from "./avro.ts";
import { ByteSink, ByteSource } from "./_bytes.ts";

// The oracle rounds 64-bit integers unless it is told how to hold them.
const longs = avsc.types.LongType.__with({
  fromBuffer: (buffer: Uint8Array) =>
    new DataView(buffer.buffer, buffer.byteOffset, 8).getBigInt64(0, true),
  toBuffer: (value: bigint) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, value, true);
    return globalThis.Buffer.from(bytes);
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (a: bigint, b: bigint) => a < b ? -1 : a > b ? 1 : 0,
});

function oracle(schema: AvroSchema): avsc.Type {
  return avsc.Type.forSchema(structuredClone(schema) as avsc.Schema, { registry: { long: longs } });
}

interface Sample {
  readonly schema: AvroSchema;
  readonly value: AvroValue;
}

let names = 0;
const named = (schema: (name: string) => AvroSchema): AvroSchema => schema(`n${names++}`);
const always = (schema: AvroSchema, values: fc.Arbitrary<AvroValue>): fc.Arbitrary<Sample> =>
  values.map((value) => ({ schema, value }));

const text = fc.string({ unit: "grapheme" }).filter((value) => value.isWellFormed());
const bytes = fc.uint8Array({ maxLength: 200 });

const samples = fc.letrec<{ any: Sample; item: Sample }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, depthIdentifier: "avro" },
    always("boolean", fc.boolean()),
    always("int", fc.integer()),
    always({ type: "int", logicalType: "date" }, fc.integer()),
    always("long", fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
    always("float", fc.float({ noNaN: true })),
    always("double", fc.double({ noNaN: true })),
    always("bytes", bytes),
    always("string", text),
    bytes.map((value) => ({
      schema: named((name) => ({ type: "fixed", name, size: value.length })),
      value,
    })).filter(({ value }) => value.length > 0),
    fc.constantFrom("A", "B").map((value) => ({
      schema: named((name) => ({ type: "enum", name, symbols: ["A", "B"] })),
      value,
    })),
    tie("any").filter(({ schema }) => !Array.isArray(schema)).chain(({ schema, value }) =>
      fc.constantFrom<AvroValue>(value, null).map((either): Sample => ({
        schema: ["null", schema],
        value: either,
      }))
    ),
    tie("any").chain(({ schema, value }) =>
      fc.nat(5).map((length) => ({
        schema: { type: "array" as const, items: schema },
        value: Array.from({ length }, () => value),
      }))
    ),
    tie("any").chain(({ schema, value }) =>
      fc.uniqueArray(fc.constantFrom("a", "b", "é", "constructor")).map((keys) => ({
        schema: { type: "map" as const, values: schema },
        value: new Map(keys.map((key) => [key, value])),
      }))
    ),
    fc.array(tie("any"), { minLength: 1, maxLength: 4 }).map((fields) => ({
      schema: named((name) => ({
        type: "record",
        name,
        fields: fields.map(({ schema }, i): AvroField => ({ name: `f${i}`, type: schema })),
      })),
      value: Object.fromEntries(fields.map(({ value }, i) => [`f${i}`, value])),
    })),
  ),
  item: tie("any"),
})).item;

/** The oracle's form of a value and back: it has plain objects as maps and its own byte class. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

function forOracle(value: AvroValue): unknown {
  if (value instanceof Uint8Array) return globalThis.Buffer.from(value);
  if (Array.isArray(value)) return value.map(forOracle);
  const entries = value instanceof Map ? [...value] : undefined;
  if (entries !== undefined || (typeof value === "object" && value !== null)) {
    return Object.fromEntries(
      (entries ?? Object.entries(value as object)).map(([key, item]) => [key, forOracle(item)]),
    );
  }
  return value;
}

function encode({ schema, value }: Sample): Uint8Array {
  const sink = new ByteSink();
  writeAvro(sink, schema, value);
  return sink.bytes().slice();
}

test("writeAvro() writes what avsc reads, for any schema and value", () => {
  fc.assert(
    fc.property(samples, (sample) => {
      const read: unknown = oracle(sample.schema).fromBuffer(
        globalThis.Buffer.from(encode(sample)),
      );
      assertEquals(plain(read), plain(sample.value));
    }),
    { seed: 42, numRuns: 500 },
  );
});

test("readAvro() reads what avsc writes, and leaves nothing over", () => {
  fc.assert(
    fc.property(samples, (sample) => {
      const written = oracle(sample.schema).toBuffer(forOracle(sample.value));
      const source = new ByteSource(Uint8Array.from(written));
      assertEquals(plain(readAvro(source, sample.schema)), plain(sample.value));
      assertEquals(source.left, 0);
    }),
    { seed: 42, numRuns: 500 },
  );
});

test("readAvro() of a truncated value throws a RangeError", () => {
  fc.assert(
    fc.property(samples, fc.nat(), (sample, at) => {
      const whole = encode(sample);
      fc.pre(whole.length > 0);
      const part = new ByteSource(whole.subarray(0, at % whole.length));
      assertThrows(() => readAvro(part, sample.schema), RangeError);
    }),
    { seed: 42, numRuns: 500 },
  );
});

test("readAvro() of random bytes ends, with a value or an error", () => {
  const schema: AvroSchema = {
    type: "record",
    name: "r",
    fields: [
      { name: "a", type: { type: "array", items: ["null", "long"] } },
      { name: "m", type: { type: "map", values: "bytes" } },
      { name: "b", type: "boolean" },
    ],
  };
  let failed = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
      try {
        readAvro(new ByteSource(noise), schema);
      } catch (thrown) {
        failed++;
        assertEquals(thrown instanceof RangeError || thrown instanceof TypeError, true);
      }
    }),
    { seed: 42, numRuns: 1000 },
  );
  assertEquals(failed > 0, true);
});

test("writeAvro() refuses a value of another type with a TypeError", () => {
  const cases: [AvroSchema, AvroValue][] = [
    ["int", 1.5],
    ["int", 2 ** 31],
    ["long", 1],
    ["long", 2n ** 63n],
    ["string", 1],
    ["bytes", "text"],
    ["boolean", null],
    [["null", "long"], "text"],
    [{ type: "fixed", name: "f", size: 2 }, new Uint8Array(3)],
    [{ type: "enum", name: "e", symbols: ["A"] }, "B"],
    [{ type: "record", name: "r", fields: [{ name: "constructor", type: "long" }] }, {}],
  ];
  for (const [schema, value] of cases) {
    assertThrows(() => writeAvro(new ByteSink(), schema, value), TypeError);
  }
});

test("readAvro() keeps a field named __proto__ as a field", () => {
  const schema: AvroSchema = {
    type: "record",
    name: "r",
    fields: [{ name: "__proto__", type: "long" }],
  };
  const value = Object.fromEntries([["__proto__", 7n]]);
  const read = readAvro(new ByteSource(encode({ schema, value })), schema);
  assertEquals(Object.entries(read as object), [["__proto__", 7n]]);
});
