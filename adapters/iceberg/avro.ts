import { ByteSink, ByteSource } from "./_bytes.ts";

/** A field of a record. */
export interface AvroField {
  /** Its name. */
  readonly name: string;
  /** What its values are. */
  readonly type: AvroSchema;
  /** Its Iceberg field id. */
  readonly "field-id"?: number;
  /** What it has where a writer leaves it out. */
  readonly default?: null;
  /** What it is for. */
  readonly doc?: string;
}

/** An Avro schema, of those that Iceberg uses. */
export type AvroSchema =
  | "null"
  | "boolean"
  | "int"
  | "long"
  | "float"
  | "double"
  | "bytes"
  | "string"
  | {
    readonly type: "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string";
    readonly logicalType?: string;
  }
  | { readonly type: "record"; readonly name: string; readonly fields: readonly AvroField[] }
  | {
    readonly type: "array";
    readonly items: AvroSchema;
    readonly "element-id"?: number;
    readonly logicalType?: string;
  }
  | {
    readonly type: "map";
    readonly values: AvroSchema;
    readonly "key-id"?: number;
    readonly "value-id"?: number;
  }
  | {
    readonly type: "fixed";
    readonly name: string;
    readonly size: number;
    readonly logicalType?: string;
  }
  | { readonly type: "enum"; readonly name: string; readonly symbols: readonly string[] }
  | readonly AvroSchema[];

/**
 * A value: `long` is a bigint, `int` a number, a record an object without prototype, a map a `Map`,
 * an enum its symbol.
 */
export type AvroValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly AvroValue[]
  | ReadonlyMap<string, AvroValue>
  | AvroRecord;

/** A record's values by field; one that is left out is null. */
export interface AvroRecord {
  readonly [field: string]: AvroValue | undefined;
}

/**
 * Appends a value in Avro's binary encoding.
 *
 * @throws {TypeError} Where the value does not fit the schema.
 * @see {@link https://avro.apache.org/docs/1.12.0/specification/#binary-encoding | Avro 1.12, Binary encoding}
 */
export function writeAvro(sink: ByteSink, schema: AvroSchema, value: AvroValue | undefined): void {
  if (isUnion(schema)) return writeUnion(sink, schema, value ?? null);
  const kind = typeof schema === "string" ? schema : schema.type;
  switch (kind) {
    case "null":
      if (value !== null && value !== undefined) throw misfit(kind, value);
      return;
    case "boolean":
      if (typeof value !== "boolean") throw misfit(kind, value);
      return sink.byte(value ? 1 : 0);
    case "int":
      if (typeof value !== "number" || value !== (value | 0)) throw misfit(kind, value);
      return sink.long(BigInt(value));
    case "long":
      if (typeof value !== "bigint" || value !== BigInt.asIntN(64, value)) {
        throw misfit(kind, value);
      }
      return sink.long(value);
    case "float":
      if (typeof value !== "number") throw misfit(kind, value);
      return sink.float32(value);
    case "double":
      if (typeof value !== "number") throw misfit(kind, value);
      return sink.float64(value);
    case "bytes":
      if (!(value instanceof Uint8Array)) throw misfit(kind, value);
      sink.long(BigInt(value.length));
      return sink.raw(value);
    case "string":
      if (typeof value !== "string") throw misfit(kind, value);
      return sink.text(value);
  }
  return writeComplex(sink, schema as ComplexSchema, value);
}

type ComplexSchema = Extract<
  AvroSchema,
  { type: "record" | "array" | "map" | "fixed" | "enum" }
>;

function writeComplex(
  sink: ByteSink,
  schema: ComplexSchema,
  value: AvroValue | undefined,
): void {
  switch (schema.type) {
    case "record":
      if (!isRecord(value)) throw misfit("record", value);
      for (const { name, type } of schema.fields) {
        writeAvro(sink, type, Object.hasOwn(value, name) ? value[name] : undefined);
      }
      return;
    case "array":
      if (!Array.isArray(value)) throw misfit("array", value);
      if (value.length > 0) {
        sink.long(BigInt(value.length));
        for (const item of value) writeAvro(sink, schema.items, item);
      }
      return sink.byte(0);
    case "map":
      if (!(value instanceof Map)) throw misfit("map", value);
      if (value.size > 0) {
        sink.long(BigInt(value.size));
        for (const [key, item] of value as ReadonlyMap<string, AvroValue>) {
          sink.text(key);
          writeAvro(sink, schema.values, item);
        }
      }
      return sink.byte(0);
    case "fixed":
      if (!(value instanceof Uint8Array) || value.length !== schema.size) {
        throw misfit("fixed", value);
      }
      return sink.raw(value);
    case "enum": {
      const index = schema.symbols.indexOf(value as string);
      if (index < 0) throw misfit("enum", value);
      return sink.long(BigInt(index));
    }
  }
}

function writeUnion(sink: ByteSink, branches: readonly AvroSchema[], value: AvroValue): void {
  // Iceberg's unions are all of null and one other type.
  const wanted = branches.findIndex((branch) => (kindOf(branch) === "null") === (value === null));
  if (wanted < 0) throw misfit("union", value);
  sink.long(BigInt(wanted));
  writeAvro(sink, branches[wanted]!, value);
}

/**
 * Reads a value in Avro's binary encoding.
 *
 * @throws {RangeError} Where the bytes are no such value.
 */
export function readAvro(source: ByteSource, schema: AvroSchema): AvroValue {
  if (isUnion(schema)) {
    const branch = schema[source.count()];
    if (branch === undefined) throw new RangeError("a union has no such branch");
    return readAvro(source, branch);
  }
  const kind = typeof schema === "string" ? schema : schema.type;
  switch (kind) {
    case "null":
      return null;
    case "boolean": {
      const byte = source.byte();
      if (byte > 1) throw new RangeError(`a boolean is ${byte}`);
      return byte === 1;
    }
    case "int": {
      const value = source.long();
      if (value !== BigInt.asIntN(32, value)) throw new RangeError(`an int is ${value}`);
      return Number(value);
    }
    case "long":
      return source.long();
    case "float":
      return source.float32();
    case "double":
      return source.float64();
    case "bytes":
      return source.raw(source.count()).slice();
    case "string":
      return source.text();
  }
  return readComplex(source, schema as ComplexSchema);
}

function readComplex(source: ByteSource, schema: ComplexSchema): AvroValue {
  switch (schema.type) {
    case "record": {
      const record: { [field: string]: AvroValue } = Object.create(null);
      for (const { name, type } of schema.fields) record[name] = readAvro(source, type);
      return record;
    }
    case "array": {
      const items: AvroValue[] = [];
      readBlocks(source, () => items.push(readAvro(source, schema.items)));
      return items;
    }
    case "map": {
      const map = new Map<string, AvroValue>();
      readBlocks(source, () => map.set(source.text(), readAvro(source, schema.values)));
      return map;
    }
    case "fixed":
      return source.raw(schema.size).slice();
    case "enum": {
      const symbol = schema.symbols[source.count()];
      if (symbol === undefined) throw new RangeError("an enum has no such symbol");
      return symbol;
    }
    default:
      throw new RangeError(`"${(schema as { type: string }).type}" is no known type`);
  }
}

function readBlocks(source: ByteSource, readItem: () => void): void {
  for (;;) {
    let count = source.long();
    if (count === 0n) return;
    // A negative count is followed by the block's size in bytes.
    if (count < 0n) {
      source.long();
      count = -count;
    }
    // Every item takes a byte at least: a damaged count must not keep a reader busy for ever.
    if (count > BigInt(source.left)) throw new RangeError("a block ends early");
    for (let i = 0n; i < count; i++) readItem();
  }
}

function isUnion(schema: AvroSchema): schema is readonly AvroSchema[] {
  return Array.isArray(schema);
}

function kindOf(schema: AvroSchema): string {
  return typeof schema === "string" ? schema : isUnion(schema) ? "union" : schema.type;
}

function isRecord(value: AvroValue | undefined): value is AvroRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Map) && !(value instanceof Uint8Array);
}

function misfit(kind: string, value: unknown): TypeError {
  return new TypeError(`Cannot write a ${value === null ? "null" : typeof value} as Avro ${kind}`);
}
