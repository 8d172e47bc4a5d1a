/**
 * Deno KV as far as the log store uses it: `Deno.Kv` has this form. All reads are strongly
 * consistent, which is KV's default.
 */

/** A part of a key. Parts sort by type (bytes, texts, numbers, bigints, booleans), then by value. */
export type KvKeyPart = Uint8Array | string | number | bigint | boolean;

/** A key; keys sort part by part. */
export type KvKey = readonly KvKeyPart[];

/** What stands at a key. */
export interface KvEntry {
  /** The key. */
  readonly key: readonly unknown[];
  /** Its value; null where there is none. */
  readonly value: unknown;
  /** Changes with each write; null where there is no value. */
  readonly versionstamp: string | null;
}

/** A condition of an atomic: the key still has this versionstamp. */
export interface KvCheck {
  /** The key. */
  readonly key: KvKey;
  /** Its versionstamp; null where there must be no value. */
  readonly versionstamp: string | null;
}

/** A write that is done whole or not at all. */
export interface KvAtomic {
  /** Adds a condition. */
  check(check: KvCheck): KvAtomic;
  /** Adds a value. */
  set(key: KvKey, value: unknown): KvAtomic;
  /** Removes a value. */
  delete(key: KvKey): KvAtomic;
  /** Does it: durably, or `ok: false` where a condition does not hold. */
  commit(): Promise<{ readonly ok: boolean; readonly versionstamp?: string }>;
}

/** A Deno KV database. */
export interface KvDatabase {
  /** Reads a key. */
  get(key: KvKey): Promise<KvEntry>;
  /** Reads up to ten keys at one moment. */
  getMany(keys: readonly KvKey[]): Promise<readonly KvEntry[]>;
  /** Reads the keys from `start` to before `end` in order; each batch at one moment. */
  list(
    selector: { start: KvKey; end: KvKey },
    options?: { limit?: number; batchSize?: number },
  ): AsyncIterable<KvEntry>;
  /** Begins an atomic. */
  atomic(): KvAtomic;
  /** Gives the keys' entries now and whenever this process, or on Deno Deploy any, changes them. */
  watch(keys: readonly KvKey[]): ReadableStream<readonly KvEntry[]>;
  /** Closes it. */
  close(): void;
}

/** The most keys of a `getMany`. */
export const GET_KEYS = 10;
/** The most bytes that the store puts into a value: 64 KiB less the room for its encoding. */
export const VALUE_BYTES = 60_000;
/** So many `getMany` are under way at once. */
const PARALLEL_READS = 8;

/**
 * Reads any number of keys. They are read at several moments: who must know that nothing changed
 * in between checks the head.
 *
 * @param kv The database.
 * @param keys The keys.
 * @param onBatch Called with each batch as it comes; what it throws ends the reading.
 * @returns The entries in the order of the keys.
 */
export async function getAll(
  kv: KvDatabase,
  keys: readonly KvKey[],
  onBatch: (batch: readonly KvEntry[]) => void = () => {},
): Promise<KvEntry[]> {
  const entries = new Array<KvEntry>(keys.length);
  let next = 0;
  const readOn = async (): Promise<void> => {
    while (next < keys.length) {
      const start = next;
      next += GET_KEYS;
      const batch = await kv.getMany(keys.slice(start, start + GET_KEYS));
      onBatch(batch);
      batch.forEach((entry, i) => entries[start + i] = entry);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_READS }, readOn));
  return entries;
}

/** A write within an atomic; an undefined value removes. */
export interface KvWrite {
  /** The key. */
  readonly key: KvKey;
  /** The value; undefined where it is to go. */
  readonly value: unknown;
  /** Whether it must be done in the atomic of the write before it. Few of them in a row, and small. */
  readonly together?: boolean;
}

/** What Deno Deploy takes in one atomic, less some room. */
const ATOMIC = { writes: 900, bytes: 700_000, keyBytes: 72_000 } as const;

/** Room for the head and the checks that go with every atomic. */
const HEAD_BYTES = 48_000;

/**
 * Divides writes into runs, each of which fits into an atomic together with the head.
 *
 * @param writes The writes in order.
 * @returns The runs; one empty run where there is nothing to write.
 */
export function splitWrites(writes: readonly KvWrite[]): KvWrite[][] {
  const runs: KvWrite[][] = [];
  let run: KvWrite[] = [];
  let bytes = HEAD_BYTES;
  let keyBytes = 0;
  for (const write of writes) {
    const keySize = sizeOfKey(write.key);
    const size = keySize + sizeOfValue(write.value);
    const full = run.length >= ATOMIC.writes || bytes + size > ATOMIC.bytes ||
      keyBytes + keySize > ATOMIC.keyBytes;
    if (full && run.length > 0 && write.together !== true) {
      runs.push(run);
      run = [];
      bytes = HEAD_BYTES;
      keyBytes = 0;
    }
    run.push(write);
    bytes += size;
    keyBytes += keySize;
  }
  runs.push(run);
  return runs;
}

/** Adds writes to an atomic. */
export function addWrites(atomic: KvAtomic, writes: readonly KvWrite[]): KvAtomic {
  for (const { key, value } of writes) {
    if (value === undefined) atomic.delete(key);
    else atomic.set(key, value);
  }
  return atomic;
}

/** Removes keys, in as many atomics as it takes. */
export async function removeAll(kv: KvDatabase, keys: readonly KvKey[]): Promise<void> {
  if (keys.length === 0) return;
  for (const run of splitWrites(keys.map((key) => ({ key, value: undefined })))) {
    await addWrites(kv.atomic(), run).commit();
  }
}

/** No less than the bytes that a key takes. */
function sizeOfKey(key: KvKey): number {
  let size = 0;
  for (const part of key) {
    // A UTF-16 unit takes up to three bytes, a NUL two; ASCII is told by a quick look.
    if (typeof part === "string") size += textBytes(part) + 2;
    else size += part instanceof Uint8Array ? 2 * part.length + 2 : 16;
  }
  return size;
}

function textBytes(text: string): number {
  // deno-lint-ignore no-control-regex -- a NUL takes two bytes
  return /^[\x01-\x7f]*$/.test(text) ? text.length : 3 * text.length;
}

/** No less than the bytes that a value takes. */
function sizeOfValue(value: unknown): number {
  if (value instanceof Uint8Array) return value.length + 64;
  if (typeof value === "string") return 2 * value.length + 16;
  if (typeof value !== "object" || value === null) return 16;
  return Object.entries(value).reduce(
    (size, [name, part]) => size + 2 * name.length + sizeOfValue(part),
    64,
  );
}
