import type { DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * Counts the messages within a message before it is decoded: each takes two bytes on the wire at
 * least, and a hundred times as much in memory.
 *
 * @param schema The message.
 * @param bytes Its bytes.
 * @param most The count at which it stops.
 * @returns How many there are, or some number above `most`.
 * @throws Where the bytes are not well-formed.
 */
export function countMessages(schema: DescMessage, bytes: Uint8Array, most: number): number {
  const reader = new BinaryReader(bytes);
  let count = 0;
  while (reader.pos < reader.len && count <= most) {
    const [number, wireType] = reader.tag();
    const inner = wireType === WireType.LengthDelimited ? messageOf(schema, number) : undefined;
    if (inner === undefined) reader.skip(wireType, number);
    else count += 1 + countMessages(inner, reader.bytes(), most - count);
  }
  return count;
}

/** The message that a field holds, where it holds any. No message of the protocol holds itself. */
function messageOf(schema: DescMessage, number: number): DescMessage | undefined {
  for (const field of schema.fields) if (field.number === number) return field.message;
  return undefined;
}
