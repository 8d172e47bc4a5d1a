import type { Clock, Random, Scheduler, Stamp } from "@lakesync/core";
import { EMPTY_HASH } from "./log_hash.ts";
import {
  addWrites,
  type KvAtomic,
  type KvCheck,
  type KvDatabase,
  type KvWrite,
} from "./kv_database.ts";
import type { KvKeys } from "./kv_keys.ts";

/** A place in the log, its hash as a number. */
export interface KvPosition {
  /** The seq. */
  readonly seq: number;
  /** The running hash. */
  readonly hash: number;
}

/** A snapshot that still needs rows as they were. */
export interface KvPin {
  /** Names it. */
  readonly id: string;
  /** The head's version that it shows. */
  readonly version: number;
  /** When it runs out, by the store's clock. */
  readonly until: number;
}

/** The one record that orders everything: whoever changes what a plan can see writes or checks it. */
export interface KvHead extends KvPosition {
  /** Rises by one with each write of the head. */
  readonly version: number;
  /** When the last entry was appended. */
  readonly at: number;
  /** The seq up to which rows, counts and indexes follow the log. */
  readonly applied: number;
  /** Who pushed the entries behind `applied`, and the least seq of that push. */
  readonly pusher: { readonly clientId: string; readonly from: number } | undefined;
  /** Where the log begins. */
  readonly trimmed: KvPosition;
  /** The seq up to which what was trimmed is removed. */
  readonly cleaned: number;
  /** The greatest purged stamp. */
  readonly purged: Stamp | undefined;
  /** How many clients have pushed. */
  readonly pushers: number;
  /** Names the instance's doing that others give way to for a while. */
  readonly turn: string | undefined;
  /** The open snapshots. */
  readonly pins: readonly KvPin[];
}

/** The head as it was read. */
export interface HeadRead {
  /** The head. */
  readonly head: KvHead;
  /** Its versionstamp; null where it was never written. */
  readonly stamp: string | null;
}

/** What the parts of a KV store share. */
export interface KvContext {
  /** The database. */
  readonly kv: KvDatabase;
  /** Where things lie in it. */
  readonly keys: KvKeys;
  /** This instance's clock. */
  readonly clock: Clock;
  /** Waiting. */
  readonly scheduler: Scheduler;
  /** Chance. */
  readonly random: Random;
}

const EMPTY_HEAD: KvHead = {
  version: 0,
  seq: 0,
  hash: EMPTY_HASH,
  at: 0,
  applied: 0,
  pusher: undefined,
  trimmed: { seq: 0, hash: EMPTY_HASH },
  cleaned: 0,
  purged: undefined,
  pushers: 0,
  turn: undefined,
  pins: [],
};

/** Reads the head. */
export async function readHead({ kv, keys }: KvContext): Promise<HeadRead> {
  const { value, versionstamp } = await kv.get(keys.head);
  return value === null
    ? { head: EMPTY_HEAD, stamp: null }
    : { head: value as KvHead, stamp: versionstamp };
}

/** What goes with a write of the head. */
export interface HeadWrite {
  /** Other writes. */
  readonly writes?: readonly KvWrite[];
  /** Other conditions. */
  readonly checks?: readonly KvCheck[];
}

/**
 * Writes the head, if it is still the one that was read.
 *
 * @param context The store.
 * @param read The head as it was read.
 * @param change What of it changes.
 * @param also What goes with it.
 * @returns The head as it is now; undefined where another writer was faster: then nothing is written.
 */
export async function writeHead(
  context: KvContext,
  read: HeadRead,
  change: Partial<KvHead>,
  also: HeadWrite = {},
): Promise<HeadRead | undefined> {
  const { keys } = context;
  const head: KvHead = { ...read.head, ...change, version: read.head.version + 1 };
  const atomic = checkHead(context, read).set(keys.head, head);
  for (const check of also.checks ?? []) atomic.check(check);
  const done = await addWrites(atomic, also.writes ?? []).commit();
  return done.ok ? { head, stamp: done.versionstamp ?? null } : undefined;
}

/** An atomic that is only done while the head is the one that was read. */
export function checkHead({ kv, keys }: KvContext, { stamp }: HeadRead): KvAtomic {
  return kv.atomic().check({ key: keys.head, versionstamp: stamp });
}

/**
 * Changes the head, again on the newer one as often as another writer is faster.
 *
 * @param context The store.
 * @param change What of it changes, with what goes along; undefined to leave it.
 * @returns The head as it is then.
 */
export async function updateHead(
  context: KvContext,
  change: (
    read: HeadRead,
  ) => Promise<{ head: Partial<KvHead>; also?: HeadWrite } | undefined>,
): Promise<HeadRead> {
  for (;;) {
    const read = await readHead(context);
    const changed = await change(read);
    if (changed === undefined) return read;
    const written = await writeHead(context, read, changed.head, changed.also);
    if (written !== undefined) return written;
  }
}

/**
 * Waits until the head may have changed, or so many ms. Unlike a delay it keeps the process alive:
 * somebody's append waits with it.
 */
export async function headChange(
  { kv, keys, scheduler }: KvContext,
  { stamp }: HeadRead,
  ms: number,
): Promise<void> {
  const reader = kv.watch([keys.head]).getReader();
  const over = new AbortController();
  const changed = async (): Promise<void> => {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      if (read.value[0]!.versionstamp !== stamp) return;
    }
  };
  const delay = scheduler.delay(ms, { signal: over.signal });
  try {
    await Promise.race([changed().catch(() => delay), delay]);
  } finally {
    over.abort();
    await reader.cancel().catch(() => {});
  }
}
