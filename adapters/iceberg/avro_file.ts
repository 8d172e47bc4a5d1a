import { type AvroRecord, type AvroSchema, readAvro, writeAvro } from "./avro.ts";
import { ByteSink, ByteSource } from "./_bytes.ts";

const MAGIC = Uint8Array.of(0x4f, 0x62, 0x6a, 1); // "Obj", version 1
const SYNC_BYTES = 16;
const BLOCK_BYTES = 64 * 1024;
const META: AvroSchema = { type: "map", values: "bytes" };
const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** What an Avro file is made of. */
export interface AvroFileContent {
  /** The schema of its records. */
  readonly schema: AvroSchema;
  /** Its header's texts, without Avro's own. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Its records. */
  readonly records: Iterable<AvroRecord>;
}

/**
 * Makes an Avro object container file, not compressed: some readers choke on small compressed
 * blocks.
 *
 * @param content Schema, header and records.
 * @param sync 16 random bytes that part the blocks.
 * @see {@link https://avro.apache.org/docs/1.12.0/specification/#object-container-files | Avro 1.12, Object container files}
 */
export function encodeAvroFile(content: AvroFileContent, sync: Uint8Array): Uint8Array {
  const file = new ByteSink();
  file.raw(MAGIC);
  const meta = new Map([...content.metadata].map(([key, text]) => [key, utf8.encode(text)]));
  meta.set("avro.schema", utf8.encode(JSON.stringify(content.schema)));
  meta.set("avro.codec", utf8.encode("null"));
  writeAvro(file, META, meta);
  file.raw(sync);
  let block = new ByteSink();
  let count = 0;
  const endBlock = (): void => {
    if (count === 0) return;
    file.long(BigInt(count));
    file.long(BigInt(block.length));
    file.raw(block.bytes());
    file.raw(sync);
    block = new ByteSink();
    count = 0;
  };
  for (const record of content.records) {
    writeAvro(block, content.schema, record);
    count++;
    if (block.length >= BLOCK_BYTES) endBlock();
  }
  endBlock();
  return file.bytes();
}

/** A decoded Avro file. */
export interface AvroFile {
  /** The schema that it was written with. */
  readonly schema: AvroSchema;
  /** Its header's texts. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Its records. */
  readonly records: readonly AvroRecord[];
}

/**
 * Reads an Avro object container file with codec `null` or `deflate`.
 *
 * @throws {RangeError} Where the bytes are no such file.
 */
export async function decodeAvroFile(bytes: Uint8Array): Promise<AvroFile> {
  try {
    return await decode(bytes);
  } catch (thrown) {
    if (thrown instanceof RangeError) throw thrown;
    // Text that is no UTF-8, a schema that is no JSON.
    throw new RangeError(thrown instanceof Error ? thrown.message : String(thrown), {
      cause: thrown,
    });
  }
}

async function decode(bytes: Uint8Array): Promise<AvroFile> {
  const source = new ByteSource(bytes);
  const magic = source.raw(MAGIC.length);
  if (!magic.every((byte, i) => byte === MAGIC[i])) throw new RangeError("it is no Avro file");
  const meta = readAvro(source, META) as ReadonlyMap<string, Uint8Array>;
  const metadata = new Map([...meta].map(([key, text]) => [key, fromUtf8.decode(text)]));
  const schema = JSON.parse(metadata.get("avro.schema") ?? "null") as AvroSchema | null;
  if (schema === null) throw new RangeError("it has no schema");
  const codec = metadata.get("avro.codec") ?? "null";
  const sync = source.raw(SYNC_BYTES);
  const records: AvroRecord[] = [];
  while (source.left > 0) {
    const count = source.count();
    const block = new ByteSource(await decompress(source.raw(source.count()), codec));
    if (count > block.left) throw new RangeError("a block ends early");
    for (let i = 0; i < count; i++) records.push(readAvro(block, schema) as AvroRecord);
    if (block.left > 0) throw new RangeError(`a block has ${block.left} bytes too many`);
    const mark = source.raw(SYNC_BYTES);
    if (!mark.every((byte, i) => byte === sync[i])) throw new RangeError("a block is damaged");
  }
  return { schema, metadata, records };
}

async function decompress(bytes: Uint8Array, codec: string): Promise<Uint8Array> {
  if (codec === "null") return bytes;
  if (codec !== "deflate") throw new RangeError(`its codec "${codec}" is not known`);
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(
    new DecompressionStream("deflate-raw"),
  );
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new RangeError("a compressed block is damaged", { cause });
  }
}
