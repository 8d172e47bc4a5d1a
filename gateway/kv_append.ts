import {
  type AppendOutcome,
  type AppendRequest,
  err,
  LakeSyncError,
  type Result,
} from "@lakesync/core";
import { applyWrites, settledHead } from "./kv_apply.ts";
import { stageBlob } from "./kv_blob.ts";
import type { PackedChunk } from "./kv_chunk.ts";
import type { KvClock } from "./kv_clock.ts";
import { type KvWrite, splitWrites } from "./kv_database.ts";
import { deriveWrites, type Former, type LoggedAppend, readCounts } from "./kv_derive.ts";
import {
  type HeadRead,
  type HeadWrite,
  type KvContext,
  type KvHead,
  readHead,
  writeHead,
} from "./kv_head.ts";
import { readClients, readKnown } from "./kv_known.ts";
import { blobOfChunks, inlineChunks, type KvDirectory, type KvLog } from "./kv_log.ts";
import { type AppendInput, PlannedAppends } from "./kv_plan.ts";
import { readRows } from "./kv_rows.ts";
import { storageError } from "./kv_error.ts";
import { sweepKv } from "./kv_sweep.ts";
import { endTurn, takeTurn } from "./kv_turn.ts";
import { readValues, valueWrites } from "./kv_values.ts";
import { rowKey } from "./working_rows.ts";

interface Waiting {
  readonly request: AppendRequest;
  readonly resolve: (result: Result<AppendOutcome>) => void;
}

/** What became of a try to append. */
type Tried =
  /** Done. */
  | "done"
  /** Nothing is written: another writer was faster. */
  | "overtaken"
  /** Nothing is written: the requests do not fit together. */
  | "too many";

/** So many deltas are tried together in one atomic. */
const GROUP_DELTAS = 400;
/** The most checks that go with the head's. */
const MAX_CHECKS = 90;
/** The log gets no more bytes by one append. */
const MAX_LOG_BYTES = 64 * 2 ** 20;

/** Appends, one group of requests after the other. */
export class KvAppender {
  readonly #context: KvContext;
  readonly #log: KvLog;
  readonly #clock: KvClock;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(context: KvContext, log: KvLog, clock: KvClock) {
    this.#context = context;
    this.#log = log;
    this.#clock = clock;
  }

  /** Appends a request; requests that wait together share an atomic where they fit. */
  append(request: AppendRequest): Promise<Result<AppendOutcome>> {
    return new Promise((resolve) => {
      this.#waiting.push({ request, resolve });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      let deltas = 0;
      let count = 0;
      while (count < this.#waiting.length && (count === 0 || deltas < GROUP_DELTAS)) {
        deltas += this.#waiting[count++]!.request.deltas.length;
      }
      const group = this.#waiting.splice(0, count);
      if (count > 1 && await this.#serve(group)) continue;
      // Together they were too large, or one of them fails: each by itself.
      for (const waiting of group) await this.#serve([waiting]);
    }
    // At once, while it is sure that nobody waits.
    this.#running = undefined;
  }

  /** Serves some requests; false where they have to be served one by one. */
  async #serve(group: readonly Waiting[]): Promise<boolean> {
    let turn: string | undefined;
    try {
      for (let tries = 0;; tries++) {
        const read = await settledHead(this.#context, this.#log, { givesWay: true, turn });
        try {
          const tried = await this.#try(group, read);
          if (tried !== "overtaken") return tried === "done";
        } catch (thrown) {
          // What was read piece by piece while another instance wrote may not make sense.
          if ((await readHead(this.#context)).stamp === read.stamp) throw thrown;
        }
        if (tries > 0) turn ??= await takeTurn(this.#context);
      }
    } catch (thrown) {
      if (group.length > 1) return false;
      for (const { resolve } of group) resolve(err(storageError(thrown)));
      return true;
    } finally {
      await endTurn(this.#context, turn);
    }
  }

  async #try(group: readonly Waiting[], read: HeadRead): Promise<Tried> {
    const input = await this.#read(group, read);
    const planned = new PlannedAppends(input);
    const results = group.map(({ request }) => planned.add(request));
    const answer = () => group.forEach(({ resolve }, i) => resolve(results[i]!));
    if (planned.isEmpty || results.some(({ ok }) => !ok)) {
      // A plan that fails, or that says that nothing is new, is to have seen one moment.
      if ((await readHead(this.#context)).stamp !== read.stamp) return "overtaken";
      if (planned.isEmpty) {
        answer();
        return "done";
      }
    }
    const { chunks, seq, hash } = planned.pack();
    const { rows, pushers } = planned;
    const append = { chunks: chunks.map(({ entries }) => entries), rows, pushers, seq };
    const former = await this.#former(input, append);
    const change: Partial<KvHead> = {
      seq,
      hash,
      ...(chunks.length > 0 && { at: input.now }),
      pushers: read.head.pushers +
        [...pushers.keys()].filter((id) => former.clients.get(id)?.from === undefined).length,
      pins: read.head.pins.filter(({ until }) => until > input.now),
    };
    const write = { read, change, chunks, values: await this.#values(input, planned) };
    const derived = deriveWrites(this.#context, append, { former, head: read.head });
    const once = this.#oneAtomic(write, derived);
    if (once !== undefined) {
      const head = { ...change, applied: seq, turn: undefined };
      if (await writeHead(this.#context, read, head, once) === undefined) return "overtaken";
      answer();
      return "done";
    }
    if (group.length > 1) return "too many";
    return await this.#inSteps(write, { append, derived, answer, now: input.now });
  }

  async #read(group: readonly Waiting[], read: HeadRead): Promise<AppendInput> {
    const context = this.#context;
    const requests = group.map(({ request }) => request);
    const deltas = requests.flatMap((request) => request.deltas);
    const asked = requests.flatMap(({ rows }) => rows);
    const pushers = requests.map(({ clientId }) => clientId);
    const [now, clients, rows, tables, values] = await Promise.all([
      this.#clock.now(),
      readClients(context, [...pushers, ...deltas.map(({ clientId }) => clientId)]),
      readRows(context, asked),
      readCounts(context, asked.map(({ table }) => table)),
      readValues(context, requests.flatMap(({ values = [] }) => values)),
    ]);
    const known = await readKnown({ store: context, log: this.#log, read }, deltas, clients);
    const keys = new Set(asked.map(({ table, rowId }) => rowKey(table, rowId)));
    const at = Math.max(now, read.head.at);
    return { read, now: at, asked: keys, clients, rows, tables, values, known };
  }

  /** What derived records were before, also of those that no plan had asked for. */
  async #former(input: AppendInput, append: LoggedAppend): Promise<Former> {
    const rows = append.rows.filter(({ table, rowId }) => !input.asked.has(rowKey(table, rowId)));
    const tables = rows.map(({ table }) => table).filter((table) => !input.tables.has(table));
    const makers = new Set(append.chunks.flat().map(({ entry }) => entry.clientId));
    const clients = [...makers].filter((id) => !input.clients.has(id));
    return {
      rows: new Map([...input.rows, ...await readRows(this.#context, rows)]),
      clients: new Map([...input.clients, ...await readClients(this.#context, clients)]),
      tables: new Map([...input.tables, ...await readCounts(this.#context, tables)]),
    };
  }

  async #values(input: AppendInput, { values }: PlannedAppends): Promise<Required<HeadWrite>> {
    const unread = [...values.keys()].filter((key) => !input.values.has(key));
    const former = new Map([...input.values, ...await readValues(this.#context, unread)]);
    return await valueWrites(this.#context, values, { former, now: input.now });
  }

  /** All that an append writes, where that fits into one atomic. */
  #oneAtomic(
    { chunks, values }: KvWriteParts,
    derived: readonly KvWrite[],
  ): HeadWrite | undefined {
    const log = inlineChunks(this.#context, chunks);
    if (log === undefined || values.checks.length > MAX_CHECKS) return undefined;
    const writes = [...log, ...values.writes, ...derived];
    return splitWrites(writes).length === 1 ? { writes, checks: values.checks } : undefined;
  }

  /** Writes the log in one atomic, and what follows from it behind that. */
  async #inSteps(
    { read, change, chunks, values }: KvWriteParts,
    options: {
      append: LoggedAppend;
      derived: readonly KvWrite[];
      answer: () => void;
      now: number;
    },
  ): Promise<Tried> {
    const context = this.#context;
    const { append, derived, answer, now } = options;
    const log = inlineChunks(context, chunks) ?? [];
    let also: Required<HeadWrite> = { writes: [...log, ...values.writes], checks: values.checks };
    if (chunks.length > 0 && (log.length === 0 || splitWrites(also.writes).length > 1)) {
      const bytes = chunks.reduce((size, chunk) => size + chunk.bytes.length, 0);
      if (bytes > MAX_LOG_BYTES) throw tooLarge();
      const { pieces, directory } = blobOfChunks(chunks);
      const { id, check, publish } = await stageBlob(context, pieces, now);
      const value: KvDirectory = { ...directory, id };
      const writes = [publish, { key: context.keys.log(append.seq), value }];
      also = { writes: [...writes, ...values.writes], checks: [check, ...values.checks] };
    }
    if (also.checks.length > MAX_CHECKS || splitWrites(also.writes).length > 1) throw tooLarge();
    const [pusher] = append.pushers;
    const logged = await writeHead(context, read, {
      ...change,
      turn: context.random.uuid(),
      pusher: pusher === undefined ? undefined : { clientId: pusher[0], from: pusher[1] },
    }, also);
    if (logged === undefined) return "overtaken";
    answer();
    try {
      await applyWrites(context, logged, derived);
      await sweepKv(context, now);
    } catch {
      // It is in the log: whoever appends next does the rest, or meets the same error.
    }
    return "done";
  }
}

interface KvWriteParts {
  readonly read: HeadRead;
  readonly change: Partial<KvHead>;
  readonly chunks: readonly PackedChunk[];
  readonly values: Required<HeadWrite>;
}

function tooLarge(): LakeSyncError {
  return new LakeSyncError(
    "PAYLOAD_TOO_LARGE",
    "This push is too large to be appended at once: split it",
  );
}
