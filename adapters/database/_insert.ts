import {
  type FlushBatch,
  type FlushEntry,
  type FlushOutcome,
  LakeSyncError,
  type SqlParameter,
  type SqlServer,
  type SqlWork,
  type Watermark,
} from "@lakesync/core";
import { foldEntries } from "./_fold.ts";
import { MergedStates } from "./_lately.ts";
import { firstNumber, raw, sql, writeRows } from "./_sql.ts";
import { DELTAS, rowKey, TABLES } from "./_tables.ts";

/** The most deltas that wait for one round of statements. */
const ROUND_DELTAS = 6_000;
/** The most characters of JSON that they have. */
const ROUND_CHARS = 4 * 1024 * 1024;
/** How many rounds are under way while the next one is collected. */
const ROUNDS = 3;

/** A delta on its way, with its text. */
interface Waiting {
  readonly entry: FlushEntry;
  readonly text: string;
}

/** What a table's part has come to. */
interface Part {
  /** Entries up to here are there already. */
  readonly after: number;
  readonly done: number;
  deltas: number;
  chars: number;
}

/** What an insert did: it counts once its transaction is committed. */
export interface Inserted {
  readonly outcomes: ReadonlyMap<string, FlushOutcome>;
  /** What its rows have become, where that was to be kept. */
  readonly merged: MergedStates;
  /** Its deltas are behind this place. */
  readonly after: number;
  /** Its last delta's place. */
  readonly through: number;
}

/** Inserts a batch within a transaction: deltas, what they merge to, watermarks. */
export async function insertBatch(
  work: SqlWork,
  options: { server: SqlServer; batch: FlushBatch; keepMerged: boolean },
): Promise<Inserted> {
  const { server, batch, keepMerged } = options;
  const { dialect } = server;
  // One writer at a time: places rise in the order of commits, and states are nobody else's.
  const head = await work.run(
    sql`SELECT value FROM lakesync_head WHERE name = ${"pos"} FOR UPDATE`,
  );
  const start = firstNumber(head);
  if (start === undefined) throw new LakeSyncError("CORRUPT", missingHead(server));
  let pos = start;
  const merged = new MergedStates(keepMerged);
  const outcomes = new Map<string, FlushOutcome>();
  const parts = new Map<string, Part>();
  const marks = await readMarks(work, { server, tables: [...batch.tables.keys()], lock: true });
  for (const [table, { from }] of batch.tables) {
    const mark = marks.get(table);
    if (mark?.watermark.epoch !== from?.epoch || mark?.watermark.seq !== from?.seq) {
      outcomes.set(table, { status: "moved", watermark: mark?.watermark });
      continue;
    }
    outcomes.set(table, { status: "empty" });
    const after = from?.epoch === batch.to.epoch ? from.seq : 0;
    parts.set(table, { after, done: mark?.done ?? 0, deltas: 0, chars: 0 });
  }
  if (parts.size === 0) return { outcomes, merged, after: start, through: start };
  let waiting: Waiting[] = [];
  let chars = 0;
  // The database is never without work: while a round is merged here, which waits until the one before it is
  // written, the deltas of the next one are being written there.
  const underWay: Promise<void>[] = [];
  const write = async () => {
    if (underWay.length === ROUNDS) await underWay.shift();
    const round = writeRound(work, { server, waiting, pos, merged, before: underWay.at(-1) });
    // Where the entries fail meanwhile, nobody waits for it.
    round.catch(() => {});
    underWay.push(round);
    pos += waiting.length;
    waiting = [];
    chars = 0;
  };
  for await (const chunk of batch.entries) {
    batch.signal?.throwIfAborted();
    for (const entry of chunk) {
      const part = parts.get(entry.delta.table);
      if (part === undefined || entry.seq <= part.after) continue;
      const text = JSON.stringify(entry.delta);
      part.deltas++;
      part.chars += text.length;
      chars += text.length;
      waiting.push({ entry, text });
      if (waiting.length >= ROUND_DELTAS || chars >= ROUND_CHARS) await write();
    }
  }
  if (waiting.length > 0) await write();
  await Promise.all(underWay);
  const moved: SqlParameter[][] = [];
  for (const [table, { deltas, chars, done }] of parts) {
    if (deltas === 0) continue;
    moved.push([table, batch.to.epoch, batch.to.seq, done, logHash(batch.to)]);
    outcomes.set(table, { status: "committed", deltas, objects: 0, bytes: chars });
  }
  await writeRows(work, {
    dialect,
    write: { table: TABLES.name, columns: TABLES.columns, key: TABLES.key, rows: moved },
  });
  await work.run(sql`UPDATE lakesync_head SET value = ${pos} WHERE name = ${"pos"}`);
  return { outcomes, merged, after: start, through: pos };
}

/** Writes some deltas behind a place, and merges them as soon as those before them are. */
async function writeRound(
  work: SqlWork,
  options: {
    server: SqlServer;
    waiting: readonly Waiting[];
    pos: number;
    merged: MergedStates;
    before: Promise<void> | undefined;
  },
): Promise<void> {
  const { server, waiting, merged, before } = options;
  const entries = waiting.map(({ entry }) => entry);
  await Promise.all([
    addDeltas(work, options),
    Promise.resolve(before).then(() => foldEntries(work, { server, entries, merged })),
  ]);
}

/** Writes some deltas behind a place. */
async function addDeltas(
  work: SqlWork,
  options: { server: SqlServer; waiting: readonly Waiting[]; pos: number },
): Promise<void> {
  const { server: { dialect }, waiting, pos } = options;
  const key = dialect.column("key");
  const rows = waiting.map(({ entry: { seq, at, delta }, text }, i): SqlParameter[] => [
    delta.table,
    pos + i + 1,
    seq,
    at,
    key.encode(rowKey(delta.table, delta.rowId))!,
    text,
  ]);
  await writeRows(work, { dialect, write: { table: DELTAS.name, columns: DELTAS.columns, rows } });
}

/** How far a table is. */
export interface Mark {
  readonly watermark: Watermark;
  /** The place up to which it is materialised. */
  readonly done: number;
}

/** A watermark's hash as it is stored: the seq, a space and the hash. */
export function logHash({ seq, hash }: Watermark): string | null {
  return hash === undefined ? null : `${seq} ${hash}`;
}

/** How far some tables are. */
export async function readMarks(
  work: SqlWork,
  options: { server: SqlServer; tables: readonly string[]; lock: boolean },
): Promise<Map<string, Mark>> {
  const { server: { dialect }, tables, lock } = options;
  const marks = new Map<string, Mark>();
  if (tables.length === 0) return marks;
  const named = dialect.within("table_name", { type: "name", values: tables });
  const rows = await work.run(
    sql`SELECT table_name, epoch, seq, done, log_hash FROM lakesync_tables WHERE ${named}${
      raw(lock ? " FOR UPDATE" : "")
    }`,
  );
  for (const [table, epoch, seq, done, hash] of rows) {
    const known = hash?.startsWith(`${seq} `) ? { hash: hash.slice(seq!.length + 1) } : {};
    const watermark = { epoch: epoch!, seq: Number(seq), ...known };
    marks.set(table!, { watermark, done: Number(done) });
  }
  return marks;
}

function missingHead(server: SqlServer): string {
  return `The head of ${server.place} is gone from "lakesync_head": restore a backup or begin with a new schema`;
}
