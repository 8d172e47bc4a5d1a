import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import {
  type CheckpointRow,
  encodeRow,
  err,
  type Hlc,
  LakeSyncError,
  type LogStore,
  ok,
  type Register,
  type Result,
  type Source,
  type SourceBatch,
  type SourceChange,
  type TableIndex,
  toLakeSyncError,
} from "@lakesync/core";
import { cursorFault } from "./cursor.ts";
import type { PageAnswer } from "./page_source.ts";
import type { PullParams } from "./pull.ts";
import type { RulesView } from "./rules_view.ts";
import { serverStamp } from "./server_clock.ts";
import { batchFault } from "./source_batch.ts";

/** What a source is read with for a caller. */
export interface SourcePullContext {
  /** What the caller asks for. */
  readonly params: PullParams;
  /** Names what it may see and asks for; cursors carry it. */
  readonly digest: string;
  /** What it may see, with joins put in; undefined for everything. */
  readonly rules: RulesView | undefined;
  /** The gateway's tables. */
  readonly tables: ReadonlyMap<string, TableIndex>;
  /** The log, for its head and its clock. */
  readonly store: LogStore;
  /** A page ends with the item that brings it to so many bytes. */
  readonly maxBytes: number;
  /** Ends the reading. */
  readonly signal: AbortSignal;
}

/** The digest that a source's cursors carry: those of one are not good for another. */
export function sourceDigest(name: string, view: string): string {
  return createHash("sha256").update(`${name}\0${view}`).digest("hex").slice(0, 16);
}

const FORM = /^s1\.([A-Za-z0-9_-]*)\.(0|[1-9][0-9]{0,8})\.([0-9a-f]{16})$/;

/** Where a caller stands in a source. */
interface Place {
  /** The source's own cursor; undefined at its beginning. */
  readonly cursor: string | undefined;
  /** So many changes of the batch behind it are behind the caller, too. */
  readonly skip: number;
}

/**
 * Answers a pull with `source=`: records straight from the source, judged by the rules as they come. A
 * visible record arrives as ENTER. What the gateway knows of the row is not looked at, so that a record
 * which the rules hide arrives not at all, and a deletion only where they let the row through by its
 * id alone.
 *
 * @param source The source.
 * @param context Who asks for what.
 * @returns A page; `CHECKPOINT_REQUIRED` for a cursor that is not of this source and view, `INTERNAL`
 * where the source fails. `hasMore` is true until the source gives nothing more.
 */
export async function pullSource(
  source: Source,
  context: SourcePullContext,
): Promise<Result<PageAnswer>> {
  const { params, digest, store, signal } = context;
  const place = parsePlace(params.cursor, digest);
  if (!place.ok) return place;
  const head = await store.head();
  if (!head.ok) return head;
  const stamp = await serverStamp(store);
  if (!stamp.ok) return stamp;
  const batch = await firstBatch(source, place.value.cursor, signal);
  if (signal.aborted) return err(toLakeSyncError(signal.reason, "INTERNAL"));
  if (!batch.ok) return err(sourceFailed(source, batch.error));
  const answer = (items: readonly string[], next: Place, hasMore: boolean): PageAnswer => ({
    items,
    cursor: formatPlace(next, digest),
    seq: head.value.seq,
    hasMore,
    serverHlc: stamp.value,
  });
  if (batch.value === undefined) return ok(answer([], place.value, false));
  const { changes, cursor } = batch.value;
  const fault = batchFault(batch.value, context.tables);
  if (fault !== undefined) {
    return err(new LakeSyncError("SCHEMA_ERROR", `Source "${source.name}": ${fault}`));
  }
  const maker = { hlc: stamp.value, clientId: `@source:${source.name}` };
  const items: string[] = [];
  let { skip } = place.value;
  let bytes = 0;
  while (skip < changes.length && items.length < params.limit && bytes < context.maxBytes) {
    const item = itemOf(changes[skip++]!, maker, context);
    if (item === undefined) continue;
    items.push(item);
    bytes += Buffer.byteLength(item);
  }
  const next = skip < changes.length ? { cursor: place.value.cursor, skip } : { cursor, skip: 0 };
  return ok(answer(items, next, true));
}

async function firstBatch(
  source: Source,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<Result<SourceBatch | undefined>> {
  try {
    for await (const batch of source.read({ cursor, signal })) return batch;
    return ok(undefined);
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
}

/** What went wrong between a source and what it reads is not its caller's: no code of it is, either. */
function sourceFailed({ name }: Source, cause: LakeSyncError): LakeSyncError {
  return new LakeSyncError("INTERNAL", `Source "${name}" cannot be read: ${cause.message}`, {
    cause,
  });
}

function itemOf(
  change: SourceChange,
  maker: { hlc: Hlc; clientId: string },
  { params, rules }: SourcePullContext,
): string | undefined {
  const { op, table, rowId, columns } = change;
  if (params.tables?.includes(table) === false) return undefined;
  // Null counts as absent, as it does in rules.
  const facts = [...columns].filter(([, value]) => value !== null);
  if (rules?.sees({ table, rowId }, op === "delete" ? [] : facts) === false) return undefined;
  if (op === "delete") return JSON.stringify({ op: "DELETE", table, rowId });
  const registers = [...columns].map(([column, value]): [string, Register] => [
    column,
    [value, maker.hlc, maker.clientId],
  ]);
  const row: CheckpointRow = encodeRow({
    table,
    rowId,
    state: { life: { alive: true, ...maker }, columns: new Map(registers) },
  });
  return JSON.stringify({ op: "ENTER", ...row });
}

function formatPlace({ cursor, skip }: Place, digest: string): string {
  if (cursor === undefined && skip === 0) return "";
  // "-" for the beginning: no text packs to a single character.
  const packed = cursor === undefined ? "-" : Buffer.from(cursor).toString("base64url");
  return `s1.${packed}.${skip}.${digest}`;
}

function parsePlace(text: string, digest: string): Result<Place> {
  if (text === "") return ok({ cursor: undefined, skip: 0 });
  const parts = FORM.exec(text);
  if (parts === null) return cursorFault("foreign");
  if (parts[3] !== digest) return cursorFault("digest");
  const packed = parts[1]!;
  const cursor = packed === "-" ? undefined : Buffer.from(packed, "base64url").toString();
  return ok({ cursor, skip: Number(parts[2]) });
}
