import {
  type CheckpointEnd,
  type CheckpointHeader,
  type CheckpointRow,
  isLogSeq,
  LakeSyncError,
} from "@lakesync/core";

/** Reads lines of JSON from a stream of bytes, a list for each chunk that completes any. */
export async function* jsonLines(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<unknown[], void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const bytes of body) {
    const text = decoder.decode(bytes, { stream: true });
    const last = text.lastIndexOf("\n");
    if (last < 0) {
      rest += text;
      continue;
    }
    const lines = parseLines(rest + text.slice(0, last));
    rest = text.slice(last + 1);
    if (lines.length > 0) yield lines;
  }
  rest += decoder.decode();
  const lines = parseLines(rest);
  if (lines.length > 0) yield lines;
}

function parseLines(text: string): unknown[] {
  // One parse for the whole chunk: a line holds no line break outside of its escapes.
  const lines = text.split("\n").filter((line) => line !== "");
  try {
    return JSON.parse(`[${lines.join(",")}]`) as unknown[];
  } catch {
    throw broken("a line of it is not JSON");
  }
}

/** The rows of a checkpoint whose header has been read; throws where it does not come whole. */
export async function* checkpointRows(
  lines: AsyncIterator<unknown[], void, undefined>,
  rest: readonly unknown[],
): AsyncGenerator<readonly CheckpointRow[], void, undefined> {
  let count = 0;
  let chunk: readonly unknown[] = rest;
  for (;;) {
    const last = chunk.at(-1);
    if (isEnd(last)) {
      const rows = chunk.slice(0, -1) as CheckpointRow[];
      count += rows.length;
      if (count !== last.end.rows) {
        throw broken(`it has ${count} rows and says ${last.end.rows}`);
      }
      if (rows.length > 0) yield rows;
      return;
    }
    if (chunk.length > 0) {
      count += chunk.length;
      yield chunk as CheckpointRow[];
    }
    const next = await lines.next();
    if (next.done === true) throw broken("it broke off");
    chunk = next.value;
  }
}

/** Whether a checkpoint's line is its header. */
export function isHeader(line: unknown): line is CheckpointHeader {
  const header = (line as Partial<CheckpointHeader> | null)?.checkpoint;
  return header !== undefined && isLogSeq(header.seq) && typeof header.cursor === "string";
}

function isEnd(line: unknown): line is CheckpointEnd {
  return typeof (line as Partial<CheckpointEnd> | undefined)?.end?.rows === "number";
}

/** A checkpoint that is thrown away. */
export function broken(reason: string): LakeSyncError {
  return new LakeSyncError(
    "OFFLINE",
    `Cannot use the checkpoint: ${reason}, it will be asked for again`,
  );
}
