import type { LogEntry, ReadLogOptions } from "@lakesync/core";
import { tableOfKey } from "./table_key.ts";

/** So many entries are kept at the most … */
const MAX_ENTRIES = 4_096;
/** … and so many characters. */
const MAX_CHARS = 4 * 2 ** 20;
/** Behind so many entries those of a key are found by the index: that costs what it finds. */
const MAX_PASSED = 256;

/** Entries as they were appended. */
export class EntryRun {
  /** The entries, without gaps. */
  readonly entries: LogEntry[] = [];
  /** What each is found by. */
  readonly keys: (readonly string[])[] = [];
  /** The characters of each. */
  readonly chars: number[] = [];

  /** Adds an entry. */
  push(entry: LogEntry, found: { keys: readonly string[]; chars: number }): void {
    this.entries.push(entry);
    this.keys.push(found.keys);
    this.chars.push(found.chars);
  }
}

/**
 * The end of a log in memory. Who follows it asks for an entry just after it was appended, and so do
 * all who follow it: each would read it from the file again.
 */
export class RecentEntries {
  /** Up to the head. */
  #run = new EntryRun();
  #chars = 0;

  /** Takes over entries that are committed. They follow upon those that are kept. */
  add({ entries, keys, chars }: EntryRun): void {
    entries.forEach((entry, i) => {
      this.#run.push(entry, { keys: keys[i]!, chars: chars[i]! });
      this.#chars += chars[i]!;
    });
    const { length } = this.#run.entries;
    if (length > MAX_ENTRIES || this.#chars > MAX_CHARS) this.#drop();
  }

  /** Drops the older half: so it costs little for each. */
  #drop(): void {
    const { entries, keys, chars } = this.#run;
    this.#run = new EntryRun();
    this.#chars = 0;
    let first = entries.length;
    while (first > 0 && entries.length - first < MAX_ENTRIES / 2) {
      if (this.#chars + chars[first - 1]! > MAX_CHARS / 2) break;
      this.#chars += chars[--first]!;
    }
    for (let i = first; i < entries.length; i++) {
      this.#run.push(entries[i]!, { keys: keys[i]!, chars: chars[i]! });
    }
  }

  /** An entry; undefined where it is not kept. */
  at(seq: number): LogEntry | undefined {
    const { entries } = this.#run;
    return entries[seq - (entries[0]?.seq ?? 0)];
  }

  /**
   * Reads entries as `LogStore.read` does.
   *
   * @returns The entries; undefined where some of them may not be kept.
   */
  read(after: number, options: ReadLogOptions): readonly LogEntry[] | undefined {
    const { limit, maxChars = 8_388_608, through = Infinity, keys } = options;
    const { entries, keys: keysOf } = this.#run;
    const start = after + 1 - (entries[0]?.seq ?? Infinity);
    if (start < 0) return undefined;
    if (keys !== undefined && entries.length - start > MAX_PASSED) return undefined;
    const wanted = keys === undefined ? undefined : new Set(keys);
    const tables = new Set(keys?.map(tableOfKey));
    const found: LogEntry[] = [];
    let chars = 0;
    for (let i = start; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.seq > through) break;
      const isFound = wanted === undefined || tables.has(entry.table) ||
        keysOf[i]!.some((key) => wanted.has(key));
      if (!isFound) continue;
      found.push(entry);
      chars += entry.json.length;
      if (found.length >= limit || chars >= maxChars) break;
    }
    return found;
  }
}
