import { createHash } from "node:crypto";
import type { KvKey, KvKeyPart } from "./kv_database.ts";

/** A range of keys. */
export interface KvRange {
  /** The first key that may be in it. */
  start: KvKey;
  /** The first key behind it. */
  end: KvKey;
}

/** Texts up to so many characters stand in keys as they are, longer ones as their hash. */
const PLAIN_CHARS = 256;

/** Sorts behind every text, number and bigint: the end of what begins with some parts. */
const LAST = true;

/** Where everything of a log lies in Deno KV: decision 0009 says what each is. */
export class KvKeys {
  readonly #prefix: KvKey;
  /** The head: see {@linkcode Head}. */
  readonly head: KvKey;
  /** What the store was made with: its epoch. */
  readonly meta: KvKey;
  /** The clock's reservation. */
  readonly clock: KvKey;

  constructor(prefix: KvKey) {
    this.#prefix = prefix;
    this.head = this.#key("head");
    this.meta = this.#key("meta");
    this.clock = this.#key("clock");
  }

  #key(...parts: KvKeyPart[]): KvKey {
    return [...this.#prefix, ...parts];
  }

  /** Everything that begins with some parts and goes on. */
  #below(...parts: KvKeyPart[]): KvRange {
    return { start: this.#key(...parts, ""), end: this.#key(...parts, LAST) };
  }

  /** A chunk, or the directory of an append's chunks, by its last seq. */
  log(last: number): KvKey {
    return this.#key("log", last);
  }

  /** What of the log has the entries from a seq on. */
  logFrom(seq: number): KvRange {
    return { start: this.#key("log", seq), end: this.#key("log", LAST) };
  }

  /** A piece of something that is larger than a value. */
  blob(id: string, piece: number): KvKey {
    return this.#key("blob", id, piece);
  }

  /** All pieces of a blob. */
  blobs(id: string): KvRange {
    return { start: this.#key("blob", id, 0), end: this.#key("blob", id, LAST) };
  }

  /** That a blob is being written. */
  pending(id: string): KvKey {
    return this.#key("pending", id);
  }

  /** All blobs that are being written. */
  pendings(): KvRange {
    return this.#below("pending");
  }

  /** A row's record. */
  row(table: string, rowId: string): KvKey {
    return this.#key("row", table, rowId);
  }

  /** A piece of a large row, as of a seq. */
  piece(row: { table: string; rowId: string; seq: number }, piece: number): KvKey {
    return this.#key("piece", row.table, row.rowId, row.seq, piece);
  }

  /** A row's record before it was overwritten by the head of a version. */
  old(table: string, rowId: string, version: number): KvKey {
    return this.#key("old", table, rowId, version);
  }

  /** A table's rows behind one of them. */
  rowsAfter(table: string, rowId: string): KvRange {
    return { start: this.#key("row", table, rowId, LAST), end: this.#key("row", table, LAST) };
  }

  /** A table's former records behind a row, up to and with another where there is one. */
  oldBetween(table: string, after: string, through: string | undefined): KvRange {
    const end = through === undefined ? [table, LAST] : [table, through, LAST];
    return { start: this.#key("old", table, after, LAST), end: this.#key("old", ...end) };
  }

  /** All former records. */
  olds(): KvRange {
    return this.#below("old");
  }

  /** A table's visible rows. */
  table(table: string): KvKey {
    return this.#key("table", table);
  }

  /** All tables. */
  tables(): KvRange {
    return this.#below("table");
  }

  /** What is known of a client. */
  client(clientId: string): KvKey {
    return this.#key("client", plain(clientId));
  }

  /** Which chunk has the client's stamps up to one. */
  stamps(clientId: string, greatest: string): KvKey {
    return this.#key("stamps", plain(clientId), BigInt(greatest));
  }

  /** The client's ranges of stamps from the one that may have a stamp on. */
  stampsFrom(clientId: string, hlc: string): KvRange {
    return {
      start: this.stamps(clientId, hlc),
      end: this.#key("stamps", plain(clientId), LAST),
    };
  }

  /** A delta that no range of stamps tells of. */
  delta(delta: { clientId: string; hlc: string; deltaId: string }): KvKey {
    return this.#key("delta", plain(delta.clientId), BigInt(delta.hlc), delta.deltaId);
  }

  /** Deltas of a pusher's last push that were kept by a trim. */
  kept(pusher: string, last: number): KvKey {
    return this.#key("kept", plain(pusher), last);
  }

  /** All kept deltas of a pusher. */
  keptOf(pusher: string): KvRange {
    return { start: this.kept(pusher, 0), end: this.#key("kept", plain(pusher), LAST) };
  }

  /** That a pusher's kept deltas may go. */
  drop(pusher: string): KvKey {
    return this.#key("drop", plain(pusher));
  }

  /** All pushers whose kept deltas may go. */
  drops(): KvRange {
    return this.#below("drop");
  }

  /** Which entries of a chunk have a key. */
  index(key: string, last: number): KvKey {
    return this.#key("index", plain(key), last);
  }

  /** Where entries from a seq on have a key. */
  indexFrom(key: string, seq: number): KvRange {
    return { start: this.index(key, seq), end: this.#key("index", plain(key), LAST) };
  }

  /** A value. */
  value(key: string): KvKey {
    return this.#key("value", plain(key));
  }

  /** A lease. */
  lease(name: string): KvKey {
    return this.#key("lease", plain(name));
  }
}

/** A text as a part of a key. The first letter tells the forms apart. */
function plain(text: string): string {
  return text.length <= PLAIN_CHARS
    ? `=${text}`
    : `#${createHash("sha256").update(text).digest("hex")}`;
}
