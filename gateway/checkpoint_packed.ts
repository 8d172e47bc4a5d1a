import { pipeline, Readable } from "node:stream";
import { createGzip } from "node:zlib";

/** The lines of a checkpoint as they are kept: packed with gzip, which most callers take as it is. */

/**
 * Packs lines.
 *
 * @param lines Texts of whole lines.
 * @returns Their bytes in gzip. Where it is not read to its end, `lines` is returned from.
 */
export function packLines(lines: AsyncGenerator<string>): AsyncIterable<Uint8Array> {
  // At this level a checkpoint hardly grows, and is packed twice as fast as by CompressionStream.
  const gzip = createGzip({ level: 3, chunkSize: 64 * 1024 });
  // What fails is thrown to who reads.
  return pipeline(Readable.from(lines, { highWaterMark: 1 }), gzip, () => {});
}

/**
 * Unpacks lines.
 *
 * @param bytes What {@linkcode packLines} made of them.
 * @returns Texts of whole lines. To return from it is to return from `bytes`, also before it began.
 */
export function unpackLines(
  bytes: AsyncGenerator<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  const lines = generateLines(bytes);
  const end = lines.return.bind(lines);
  lines.return = async (value) => {
    const ended = await end(value);
    await bytes.return(undefined);
    return ended;
  };
  return lines;
}

async function* generateLines(
  bytes: AsyncGenerator<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  const packed = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const next = await bytes.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await bytes.return(undefined);
    },
  }, { highWaterMark: 0 });
  for await (const part of packed.pipeThrough(new DecompressionStream("gzip"))) {
    const text = rest + decoder.decode(part, { stream: true });
    const end = text.lastIndexOf("\n") + 1;
    rest = text.slice(end);
    if (end > 0) yield text.slice(0, end);
  }
}
