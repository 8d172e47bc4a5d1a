import { compareCodePoints, LakeSyncError, type LogSnapshot, type RowWrite } from "@lakesync/core";
import { settledHead } from "./kv_apply.ts";
import type { KvClock } from "./kv_clock.ts";
import { type KvContext, type KvPin, updateHead, writeHead } from "./kv_head.ts";
import type { KvLog } from "./kv_log.ts";
import { type OldRecord, readRecord, type RowRecord } from "./kv_rows.ts";
import { sweepKv } from "./kv_sweep.ts";
import { hashText } from "./log_hash.ts";

/** What a snapshot is taken of. */
export interface KvSnapshotParts {
  /** The store. */
  readonly context: KvContext;
  /** Its log. */
  readonly log: KvLog;
  /** Its clock. */
  readonly clock: KvClock;
}

/** A snapshot that is not read from for so long is given up. */
const PIN_MS = 5 * 60_000;
/** So many snapshots may be open at once, over all instances. */
const MAX_PINS = 100;
/** The most rows of a chunk. */
const CHUNK_ROWS = 500;
/** A chunk ends with the row that brings it to so many bytes. */
const CHUNK_BYTES = 2 ** 20;

/** Takes a snapshot: pins the present rows, so that who changes one leaves the former record. */
export async function openKvSnapshot(parts: KvSnapshotParts): Promise<LogSnapshot> {
  const { context, log, clock } = parts;
  const id = context.random.uuid();
  for (;;) {
    const now = await clock.now();
    const read = await settledHead(context, log);
    const pins = read.head.pins.filter(({ until }) => until > now);
    if (pins.length >= MAX_PINS) throw tooMany();
    const pin: KvPin = { id, version: read.head.version + 1, until: now + PIN_MS };
    const pinned = await writeHead(context, read, { pins: [...pins, pin] });
    if (pinned === undefined) continue;
    const { seq, hash } = pinned.head;
    return {
      position: { seq, hash: hashText(hash) },
      rows: (tables) => readTables(parts, { pin, tables }),
      close: () => unpin(parts, id),
    };
  }
}

async function unpin({ context, clock }: KvSnapshotParts, id: string): Promise<void> {
  try {
    let held = false;
    await updateHead(context, ({ head }) => {
      const pins = head.pins.filter((pin) => pin.id !== id);
      held ||= pins.length < head.pins.length;
      return Promise.resolve(held ? { head: { pins } } : undefined);
    });
    if (held) await sweepKv(context, await clock.now());
  } catch {
    // The pin runs out by itself, and a later sweep removes what it kept.
  }
}

async function* readTables(
  parts: KvSnapshotParts,
  options: { pin: KvPin; tables: readonly string[] | undefined },
): AsyncGenerator<readonly RowWrite[]> {
  const { kv, keys } = parts.context;
  const names: string[] = [];
  for await (const { key } of kv.list(keys.tables(), { batchSize: 100 })) {
    names.push(key.at(-1) as string);
  }
  for (const table of names) {
    if (options.tables !== undefined && !options.tables.includes(table)) continue;
    yield* readTable(parts, { pin: options.pin, table });
  }
}

async function* readTable(
  parts: KvSnapshotParts,
  options: { pin: KvPin; table: string },
): AsyncGenerator<readonly RowWrite[]> {
  const { context } = parts;
  const { pin, table } = options;
  for (let after: string | undefined = ""; after !== undefined;) {
    const present = await presentRows(context, table, after);
    // Read behind the rows: who overwrote one of them has left its former record by now.
    const former = await formerRows(context, { pin, table, after, through: present.through });
    const rows: RowWrite[] = [];
    let failure: unknown;
    try {
      for (const [rowId, record] of new Map([...present.rows, ...former.rows])) {
        const isLater = former.through !== undefined &&
          compareCodePoints(rowId, former.through) > 0;
        if (record === undefined || isLater) continue;
        const { state } = await readRecord(context, { table, rowId }, record);
        rows.push({ table, rowId, state });
      }
    } catch (thrown) {
      failure = thrown;
    }
    // Only now is it sure that nobody has removed a former record before it was read.
    await keepPin(parts, pin);
    if (failure !== undefined) throw failure;
    if (rows.length > 0) yield rows;
    after = former.through ?? present.through;
  }
}

/** Some of a table's rows, and up to which key they are all: undefined for up to its end. */
interface SomeRows {
  readonly rows: ReadonlyMap<string, RowRecord | undefined>;
  readonly through: string | undefined;
}

/** Rows as they are now. */
async function presentRows(
  { kv, keys }: KvContext,
  table: string,
  after: string,
): Promise<SomeRows> {
  const rows = new Map<string, RowRecord>();
  let bytes = 0;
  for await (const { key, value } of kv.list(keys.rowsAfter(table, after), { batchSize: 100 })) {
    const rowId = key.at(-1) as string;
    const record = value as RowRecord;
    rows.set(rowId, record);
    bytes += record instanceof Uint8Array ? record.length : CHUNK_BYTES;
    if (rows.size === CHUNK_ROWS || bytes >= CHUNK_BYTES) return { rows, through: rowId };
  }
  return { rows, through: undefined };
}

/** Rows that have changed since the pin, as they were; undefined where they were not there. */
async function formerRows(
  { kv, keys }: KvContext,
  range: { pin: KvPin; table: string; after: string; through: string | undefined },
): Promise<SomeRows> {
  const { pin, table, after, through } = range;
  const rows = new Map<string, RowRecord | undefined>();
  const between = keys.oldBetween(table, after, through);
  for await (const { key, value } of kv.list(between, { batchSize: 16 })) {
    const rowId = key.at(-2) as string;
    // The first one behind the pin is what the row was at the pin.
    if ((key.at(-1) as number) <= pin.version || rows.has(rowId)) continue;
    rows.set(rowId, (value as OldRecord).record);
    if (rows.size === CHUNK_ROWS) return { rows, through: rowId };
  }
  return { rows, through: undefined };
}

/** Makes sure that the pin still holds, and for long enough. */
async function keepPin({ context, clock }: KvSnapshotParts, { id }: KvPin): Promise<void> {
  const now = await clock.now();
  const isHeld = (pin: KvPin) => pin.id === id;
  const { head } = await updateHead(context, ({ head }) => {
    const held = head.pins.find(isHeld);
    if (held === undefined || held.until - now > PIN_MS / 2) return Promise.resolve(undefined);
    const pins = head.pins.map((pin) => isHeld(pin) ? { ...pin, until: now + PIN_MS } : pin);
    return Promise.resolve({ head: { pins } });
  });
  if (!head.pins.some(isHeld)) throw givenUp();
}

function tooMany(): LakeSyncError {
  return new LakeSyncError(
    "BACKPRESSURE",
    `There are ${MAX_PINS} snapshots open already: try again in a while`,
  );
}

function givenUp(): LakeSyncError {
  return new LakeSyncError(
    "STORAGE_ERROR",
    `The snapshot was not read from for ${PIN_MS / 60_000} minutes: take another one`,
  );
}
