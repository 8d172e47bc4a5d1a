import {
  bodyChunks,
  err,
  LakeSyncError,
  ok,
  type Random,
  type Result,
  toLakeSyncError,
} from "@lakesync/core";
import { errorCode, type S3Answer, type S3Requester, unexpected } from "./_request.ts";
import { escapeXml, parseXml, textOf } from "./_xml.ts";

/** What is put where. */
export interface PutObject {
  /** The key within the bucket. */
  readonly key: string;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly ifAbsent: boolean;
  readonly partBytes: number;
  readonly random: Random;
  readonly signal: AbortSignal | undefined;
}

/** Tells whose put an object comes from: after a lost answer, whether it was this one that won. */
const NAME = "x-amz-meta-lakesync-put";

/** Puts an object in one request, or in parts where it is larger than one. */
export async function putObject(requester: S3Requester, put: PutObject): Promise<Result<void>> {
  const name = put.random.uuid();
  const parts = partsOf(put);
  try {
    const first = await parts.next();
    const body = first.done === true ? new Uint8Array() : first.value;
    if (body.length < put.partBytes) return await putWhole(requester, put, { body, name });
    return await putParts(requester, put, { first: body, rest: parts, name });
  } finally {
    await parts.return(undefined);
  }
}

/** The body cut into parts, each but the last of the same size. */
async function* partsOf(put: PutObject): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let part = new Uint8Array(0);
  let length = 0;
  for await (const chunk of bodyChunks(put.body, put.signal)) {
    for (let offset = 0; offset < chunk.length;) {
      const count = Math.min(chunk.length - offset, put.partBytes - length);
      if (length + count > part.length) part = grown(part, length + count, put.partBytes);
      part.set(chunk.subarray(offset, offset + count), length);
      offset += count;
      length += count;
      if (length < put.partBytes) continue;
      yield part;
      part = new Uint8Array(0);
      length = 0;
    }
  }
  if (length > 0) yield part.slice(0, length);
}

function grown(part: Uint8Array, least: number, most: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(Math.max(least, part.length * 2), most));
  larger.set(part);
  return larger;
}

async function putWhole(
  requester: S3Requester,
  put: PutObject,
  object: { body: Uint8Array<ArrayBuffer>; name: string },
): Promise<Result<void>> {
  const { key, ifAbsent, signal } = put;
  for (let attempt = 1;; attempt++) {
    const answer = await requester.send({
      method: "PUT",
      key,
      headers: { [NAME]: object.name, ...(ifAbsent && { "if-none-match": "*" }) },
      body: object.body,
      signal,
    });
    const outcome = await judge(requester, answer, { put, name: object.name });
    if (outcome !== "again") return outcome;
    await requester.waitOrGiveUp(attempt, answer, { what: `the put of "${key}"`, signal });
  }
}

async function putParts(
  requester: S3Requester,
  put: PutObject,
  object: {
    first: Uint8Array<ArrayBuffer>;
    rest: AsyncGenerator<Uint8Array<ArrayBuffer>>;
    name: string;
  },
): Promise<Result<void>> {
  const { key, ifAbsent, signal } = put;
  const { name } = object;
  const begun = await requester.send({
    method: "POST",
    key,
    query: { uploads: "" },
    headers: { [NAME]: name },
    signal,
  });
  const uploadId = begun.status === 200 ? uploadIdOf(begun) : undefined;
  if (uploadId === undefined) throw unexpected(begun, `the upload of "${key}"`);
  try {
    const tags: string[] = [];
    const send = async (body: Uint8Array<ArrayBuffer>) => {
      const query = { partNumber: String(tags.length + 1), uploadId };
      const answer = await requester.send({ method: "PUT", key, query, body, signal });
      const tag = answer.headers.get("etag");
      if (answer.status !== 200 || tag === null) {
        throw unexpected(answer, `part ${query.partNumber} of "${key}"`);
      }
      tags.push(tag);
    };
    await send(object.first);
    for await (const part of object.rest) await send(part);
    const listed = tags.map((tag, i) =>
      `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`
    );
    const body = new TextEncoder().encode(
      `<CompleteMultipartUpload>${listed.join("")}</CompleteMultipartUpload>`,
    );
    for (let attempt = 1;; attempt++) {
      const answer = await requester.send({
        method: "POST",
        key,
        query: { uploadId },
        headers: {
          "content-type": "application/xml",
          ...(ifAbsent && { "if-none-match": "*" }),
        },
        body,
        signal,
      });
      const outcome = await judge(requester, answer, { put, name });
      if (outcome === "again") {
        await requester.waitOrGiveUp(attempt, answer, { what: `the put of "${key}"`, signal });
        continue;
      }
      if (!outcome.ok) await abandon(requester, key, uploadId);
      return outcome;
    }
  } catch (thrown) {
    await abandon(requester, key, uploadId);
    throw toLakeSyncError(thrown, "STORAGE_ERROR");
  }
}

/** What became of a put by the answer to the request that makes the object visible. */
async function judge(
  requester: S3Requester,
  answer: S3Answer,
  { put, name }: { put: PutObject; name: string },
): Promise<Result<void> | "again"> {
  const { key } = put;
  const code = errorCode(answer);
  // A completed upload answers 200 before it knows: the body tells.
  if (answer.status === 200 && code === undefined) return ok(undefined);
  if (put.ifAbsent && answer.status === 409 && code === "ConditionalRequestConflict") {
    return "again";
  }
  const gone = answer.status === 404 && code === "NoSuchUpload";
  if (put.ifAbsent && answer.status === 412 || gone) {
    // Where an earlier try's answer was lost, the object that is there may be this put's own.
    if (answer.repeated && await isOurs(requester, { put, name })) return ok(undefined);
    if (!gone) {
      return err(new LakeSyncError("CONFLICT", `Cannot put "${key}": it is there already`));
    }
  }
  throw unexpected(answer, `the put of "${key}"`);
}

async function isOurs(
  requester: S3Requester,
  { put, name }: { put: PutObject; name: string },
): Promise<boolean> {
  const { key, signal } = put;
  const there = await requester.send({ method: "HEAD", key, signal });
  return there.status === 200 && there.headers.get(NAME) === name;
}

/** Drops the parts. Where that fails too they stay until the bucket's lifecycle rule removes them. */
async function abandon(requester: S3Requester, key: string, uploadId: string): Promise<void> {
  try {
    await requester.send({ method: "DELETE", key, query: { uploadId } });
  } catch {
    // The put's own failure is what is told.
  }
}

function uploadIdOf(answer: S3Answer): string | undefined {
  const result = parseXml(new TextDecoder().decode(answer.body), "InitiateMultipartUploadResult");
  return result && textOf(result, "UploadId");
}
