import { compareHlc, type Delta, type Hlc } from "@lakesync/core";
import { getAll } from "./kv_database.ts";
import type { HeadRead, KvContext } from "./kv_head.ts";
import type { KvLog } from "./kv_log.ts";

/** What is known of a client. */
export interface KvClient {
  /** The greatest stamp of its that was ever appended; undefined for one that has only pushed. */
  readonly greatest: Hlc | undefined;
  /** The least seq among the deltas of its last push; undefined where it has not pushed. */
  readonly from: number | undefined;
  /** Whether a trim has kept deltas of that push. */
  readonly kept: boolean;
}

/** A delta that no range of stamps tells of: a late one, or one of a last push behind the trim. */
export interface KvDelta {
  /** Its seq. */
  readonly seq: number;
  /** Who pushed it. */
  readonly pusher: string;
}

/** Reads what is known of clients, by clientId. */
export async function readClients(
  { kv, keys }: KvContext,
  clientIds: Iterable<string>,
): Promise<Map<string, KvClient>> {
  const ids = [...new Set(clientIds)];
  const entries = await getAll(kv, ids.map((id) => keys.client(id)));
  const known = new Map<string, KvClient>();
  entries.forEach(({ value }, i) => {
    if (value !== null) known.set(ids[i]!, value as KvClient);
  });
  return known;
}

/**
 * Finds the deltas that the log has, or remembers beyond the trim.
 *
 * @param context The store, its log and its head.
 * @param deltas The deltas.
 * @param clients What is known of their makers.
 * @returns The seq of each that is known, by deltaId.
 */
export async function readKnown(
  context: { store: KvContext; log: KvLog; read: HeadRead },
  deltas: readonly Delta[],
  clients: ReadonlyMap<string, KvClient>,
): Promise<Map<string, number>> {
  const { store } = context;
  const found = new Map<string, KvDelta>();
  const single: Delta[] = [];
  for (const mine of probes(deltas, clients)) {
    const ranges = new Ranges(context, mine[0]!.clientId);
    for (const delta of mine) {
      const entry = await ranges.find(delta);
      if (entry === undefined) single.push(delta);
      else found.set(delta.deltaId, entry);
    }
  }
  const entries = await getAll(store.kv, single.map((delta) => store.keys.delta(delta)));
  entries.forEach(({ value }, i) => {
    if (value !== null) found.set(single[i]!.deltaId, value as KvDelta);
  });
  return await remembered(context, found);
}

/** The deltas that may be there: each client's, in the order of their stamps. */
function probes(
  deltas: readonly Delta[],
  clients: ReadonlyMap<string, KvClient>,
): Iterable<readonly [Delta, ...Delta[]]> {
  const byClient = new Map<string, [Delta, ...Delta[]]>();
  for (const delta of deltas) {
    const greatest = clients.get(delta.clientId)?.greatest;
    if (greatest === undefined || compareHlc(delta.hlc, greatest) > 0) continue;
    const mine = byClient.get(delta.clientId);
    if (mine === undefined) byClient.set(delta.clientId, [delta]);
    else mine.push(delta);
  }
  for (const mine of byClient.values()) mine.sort((a, b) => compareHlc(a.hlc, b.hlc));
  return byClient.values();
}

/** A client's ranges of stamps; asked in the order of stamps, each range is read once. */
class Ranges {
  readonly #context: { store: KvContext; log: KvLog };
  readonly #clientId: string;
  #through: Hlc = "0";
  #chunk: Awaited<ReturnType<KvLog["chunkAt"]>>;
  #ended = false;

  constructor(context: { store: KvContext; log: KvLog }, clientId: string) {
    this.#context = context;
    this.#clientId = clientId;
  }

  async find(delta: Delta): Promise<KvDelta | undefined> {
    const { store: { kv, keys }, log } = this.#context;
    if (!this.#ended && compareHlc(delta.hlc, this.#through) > 0) {
      this.#ended = true;
      const range = keys.stampsFrom(this.#clientId, delta.hlc);
      for await (const { key, value } of kv.list(range, { limit: 1 })) {
        this.#ended = false;
        this.#through = String(key.at(-1));
        this.#chunk = await log.chunkAt(value as number);
      }
      if (this.#ended) this.#chunk = undefined;
    }
    if (this.#chunk === undefined) return undefined;
    const found = log.entryOf(this.#chunk, delta.deltaId);
    return found === undefined ? undefined : { seq: found.entry.seq, pusher: found.pusher };
  }
}

/** Those that still count: behind the trim only what its pusher pushed last. */
async function remembered(
  { store, read }: { store: KvContext; read: HeadRead },
  found: ReadonlyMap<string, KvDelta>,
): Promise<Map<string, number>> {
  const { trimmed } = read.head;
  const old = [...found.values()].filter(({ seq }) => seq <= trimmed.seq);
  const pushers = await readClients(store, old.map(({ pusher }) => pusher));
  const seqs = new Map<string, number>();
  for (const [deltaId, { seq, pusher }] of found) {
    const from = pushers.get(pusher)?.from ?? Infinity;
    if (seq > trimmed.seq || seq >= from) seqs.set(deltaId, seq);
  }
  return seqs;
}
