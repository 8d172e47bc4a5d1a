import { type Delta, LakeSyncError, type LogEntry, type NewEntry } from "@lakesync/core";
import { extendHash, hashText } from "./log_hash.ts";
import { packEffect, unpackEffect } from "./sqlite_effect.ts";
import { txLasts } from "./tx_last.ts";

/** An entry as its chunk has it. */
export interface KvLogEntry {
  /** The entry. */
  readonly entry: LogEntry;
  /** Who pushed it. */
  readonly pusher: string;
  /** Whether its stamp is not above all earlier ones of its client: then it has a record of its own. */
  readonly late: boolean;
  /** What it is found by. */
  readonly keys: readonly string[];
  /** Its delta, where it need not be parsed: see {@linkcode deltaOf}. */
  readonly delta: Delta | undefined;
}

/** Entries that follow each other. */
export interface KvChunk {
  /** Their last seq. */
  readonly last: number;
  /** The entries. */
  readonly entries: readonly KvLogEntry[];
}

/** A chunk and its bytes. */
export interface PackedChunk extends KvChunk {
  /** What is stored. */
  readonly bytes: Uint8Array;
}

/** `[hash, transaction's last seq − seq, pusher, client, table, row, effect, late, won, state, judged, keys]` */
type Packed = [
  hash: number,
  txLast: number,
  pusher: number,
  client: number,
  table: number,
  rowId: string,
  effect: number,
  late: 0 | 1,
  won: string | null,
  state: string | null,
  judged: string | null,
  keys: number[],
];

/** A chunk's first line: its first seq, its time, texts that occur again and again, its entries. */
type Header = [first: number, at: number, texts: string[], entries: Packed[]];

/** A chunk ends with the entry that brings it to so many characters. */
const CHUNK_CHARS = 18_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** What an append adds to the log. */
export interface Appended {
  /** Where it begins. */
  readonly after: { readonly seq: number; readonly hash: number };
  /** The store's clock, in ms. */
  readonly at: number;
  /** Its entries with who pushed them and whether they are late. */
  readonly entries: readonly {
    readonly entry: NewEntry;
    readonly pusher: string;
    readonly late: boolean;
  }[];
}

/** Packs entries: the first line says what there is of each, then comes each delta's JSON in a line. */
export function packChunks(appended: Appended): { chunks: PackedChunk[]; hash: number } {
  const { after, at, entries } = appended;
  const lasts = txLasts(entries.map(({ entry }) => entry), after.seq + 1);
  const chunks: PackedChunk[] = [];
  let { hash } = after;
  for (let i = 0; i < entries.length;) {
    const first = after.seq + 1 + i;
    const texts = new Map<string, number>();
    const text = (of: string): number => {
      const known = texts.get(of);
      if (known !== undefined) return known;
      texts.set(of, texts.size);
      return texts.size - 1;
    };
    const packed: Packed[] = [];
    const lines: string[] = [];
    const chunk: KvLogEntry[] = [];
    for (let chars = 0; i < entries.length && chars < CHUNK_CHARS; i++) {
      const { entry: { delta, effect, keys }, pusher, late } = entries[i]!;
      const { clientId, table, rowId } = delta;
      const seq = after.seq + 1 + i;
      const json = JSON.stringify(delta);
      const columns = packEffect(effect);
      hash = extendHash(hash, delta.deltaId);
      packed.push([
        hash,
        lasts[i]! - seq,
        text(pusher),
        text(clientId),
        text(table),
        rowId,
        columns.effect,
        late ? 1 : 0,
        columns.won,
        columns.state,
        columns.judged,
        keys.map(text),
      ]);
      lines.push(json);
      const place = { seq, hash: hashText(hash), at, txLast: lasts[i]! };
      const entry = { ...place, clientId, table, rowId, json, effect };
      chunk.push({ entry, pusher, late, keys, delta });
      chars += json.length + rowId.length + 60 + (columns.state?.length ?? 0) +
        (columns.judged?.length ?? 0);
      chars += keys.reduce((sum, key) => sum + key.length, 0);
    }
    const header: Header = [first, at, [...texts.keys()], packed];
    const bytes = encoder.encode([JSON.stringify(header), ...lines].join("\n"));
    chunks.push({ last: after.seq + i, entries: chunk, bytes });
  }
  return { chunks, hash };
}

/** Reads a chunk. */
export function unpackChunk(bytes: Uint8Array): KvChunk {
  try {
    const [head, ...lines] = decoder.decode(bytes).split("\n");
    const [first, at, texts, packed] = JSON.parse(head!) as Header;
    const entries = packed.map((entry, i): KvLogEntry => {
      const [hash, tx, pusher, client, table, rowId, effect, late, won, state, judged, keys] =
        entry;
      const seq = first + i;
      const place = { seq, hash: hashText(hash), at, txLast: seq + tx };
      return {
        entry: {
          ...place,
          clientId: texts[client]!,
          table: texts[table]!,
          rowId,
          json: lines[i]!,
          effect: unpackEffect({ effect, won, state, judged }),
        },
        pusher: texts[pusher]!,
        late: late === 1,
        keys: keys.map((key) => texts[key]!),
        delta: undefined,
      };
    });
    return { last: first + entries.length - 1, entries };
  } catch (cause) {
    throw new LakeSyncError(
      "CORRUPT",
      "A chunk of the log in Deno KV cannot be read: restore a backup of the database",
      { cause },
    );
  }
}

/** An entry's delta. */
export function deltaOf({ entry, delta }: KvLogEntry): Delta {
  return delta ?? JSON.parse(entry.json) as Delta;
}
