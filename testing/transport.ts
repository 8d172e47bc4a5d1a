import {
  type Checkpoint,
  type CheckpointRequest,
  type CheckpointRow,
  type Clock,
  cloneRow,
  compareStamps,
  type Delta,
  deltaId,
  emptyRow,
  encodeRow,
  err,
  indexTables,
  isVisible,
  LakeSyncError,
  mergeDelta,
  type MergeEffect,
  ok,
  packHlc,
  type PageItem,
  parseDelta,
  type PullAnswer,
  type PullRequest,
  type PushAnswer,
  type PushRequest,
  type Rejection,
  type RejectionCode,
  type RequestErrorCode,
  type RequestOptions,
  type Result,
  type RowState,
  type Scheduler,
  type Stamp,
  type SyncTransport,
  type TableIndex,
  type TableSchema,
  unpackHlc,
} from "@lakesync/core";
import { serveGateway } from "./_gateway_fetch.ts";

const MAX_AHEAD_MS = 5_000;
const MAX_DELTAS = 10_000;

/** A request that a gateway was sent. */
export type GatewayRequest =
  | { readonly kind: "push"; readonly request: PushRequest }
  | { readonly kind: "pull"; readonly request: PullRequest }
  | { readonly kind: "checkpoint"; readonly request: CheckpointRequest };

/** What is to go wrong with a request. */
export type GatewayFault =
  /** It never arrives. */
  | { readonly fault: "lose-request" }
  /** It is done, and its answer is lost. */
  | { readonly fault: "lose-answer" }
  /** It is answered with an error and not done. */
  | { readonly fault: "error"; readonly error: LakeSyncError }
  /** Its checkpoint breaks off after so many rows. */
  | { readonly fault: "break-off"; readonly rows: number };

/** Options of {@linkcode FakeGateway}. */
export interface FakeGatewayOptions {
  /** The tables that it knows. */
  tables: readonly TableSchema[];
  /** Its clock. */
  clock: Clock;
  /** What a caller may see. @default {everything} */
  rule?: (table: string, state: RowState) => boolean;
  /** Says for each valid delta why it is rejected. @default {never} */
  reject?: (delta: Delta) => RejectionCode | undefined;
  /** Says for each request what goes wrong. @default {nothing} */
  fault?: (request: GatewayRequest) => GatewayFault | undefined;
  /** The most bytes of a push's JSON. @default {8_388_608} */
  maxPushBytes?: number;
  /** Rows in a chunk of a checkpoint. @default {500} */
  chunkRows?: number;
  /** Holds pulls that ask for it. @default {undefined} `wait` is not known, and the gateway not live */
  scheduler?: Scheduler;
}

interface Entry {
  readonly seq: number;
  readonly hash: number;
  readonly delta: Delta;
  readonly effect: MergeEffect;
}

/** A transaction in the log: its entries, and each of its rows before and after it. */
interface Transaction {
  readonly entries: readonly Entry[];
  readonly rows: ReadonlyMap<string, { before: RowState | undefined; after: RowState }>;
}

/** What a gateway keeps: copied by a backup, and put back by a restore. */
interface Store {
  epoch: string;
  seq: number;
  hash: number;
  trimmed: number;
  transactions: Transaction[];
  rows: Map<string, { table: string; rowId: string; seq: number; state: RowState }>;
  seqs: Map<string, number>;
  lastPush: Map<string, ReadonlyMap<string, number>>;
  history: Delta[];
  purged: Stamp | undefined;
}

/**
 * A gateway in memory for tests of clients: PROTOCOL sections 1, 2, 4 and 6, without rules in its
 * own form, with faults on demand. It keeps all accepted deltas, which an oracle can merge.
 *
 * @example Push and pull
 * ```ts no-eval
 * import { FakeGateway, ManualClock } from "@lakesync/testing";
 *
 * const gateway = new FakeGateway({ tables: [], clock: new ManualClock() });
 * await gateway.pull({ clientId: "a", cursor: "" });
 * ```
 */
export class FakeGateway implements SyncTransport {
  /** The requests that came, also those that were lost on the way back. */
  readonly requests: GatewayRequest[] = [];
  /** What goes wrong; may be set anew at any time. */
  fault: (request: GatewayRequest) => GatewayFault | undefined;
  /** Which deltas are rejected; may be set anew at any time. */
  reject: (delta: Delta) => RejectionCode | undefined;
  /** What callers may see; may be set anew (then old cursors have another digest). */
  rule: (table: string, state: RowState) => boolean;
  /** The most bytes of a push's JSON. */
  maxPushBytes: number;
  readonly #clock: Clock;
  readonly #chunkRows: number;
  readonly #scheduler: Scheduler | undefined;
  readonly #held: Set<() => void> = new Set();
  #tables: ReadonlyMap<string, TableIndex>;
  #version: number;
  #ruleVersion = 0;
  #serverMs = 0;
  #epochs = 1;
  #store: Store = freshStore("e1");

  /** @param options Its tables and what is to go wrong. */
  constructor(options: FakeGatewayOptions) {
    this.#clock = options.clock;
    this.#tables = indexTables(options.tables);
    this.#version = versionOf(options.tables);
    this.rule = options.rule ?? (() => true);
    this.reject = options.reject ?? (() => undefined);
    this.fault = options.fault ?? (() => undefined);
    this.maxPushBytes = options.maxPushBytes ?? 8 * 1024 * 1024;
    this.#chunkRows = options.chunkRows ?? 500;
    this.#scheduler = options.scheduler;
  }

  /** Whether it holds pulls. */
  get live(): boolean {
    return this.#scheduler !== undefined;
  }

  /** How many pulls are held. */
  get held(): number {
    return this.#held.size;
  }

  /** The head of the log. */
  get head(): number {
    return this.#store.seq;
  }

  /** The deltas that were ever appended, also those that are trimmed by now, in order. */
  get accepted(): readonly Delta[] {
    return this.#store.history;
  }

  /** The merged state of a row. */
  row(table: string, rowId: string): RowState | undefined {
    return this.#store.rows.get(key(table, rowId))?.state;
  }

  /** The visible rows of a table: `column → value` by rowId. */
  visible(table: string): Map<string, Map<string, unknown>> {
    const rows = new Map<string, Map<string, unknown>>();
    for (const row of this.#store.rows.values()) {
      if (row.table !== table || !this.#sees(table, row.state)) continue;
      rows.set(row.rowId, new Map([...row.state.columns].map(([name, [value]]) => [name, value])));
    }
    return rows;
  }

  /** Gives the gateway other schemas. */
  setTables(tables: readonly TableSchema[]): void {
    this.#tables = indexTables(tables);
    this.#version = versionOf(tables);
  }

  /** Changes what callers may see: their cursors are of another digest from now on. */
  setRule(rule: (table: string, state: RowState) => boolean): void {
    this.rule = rule;
    this.#ruleVersion++;
  }

  /** Trims the log up to a seq, and purges tombstones behind it. */
  trim(through: number): void {
    const store = this.#store;
    const kept = store.transactions.filter(({ entries }) => entries.at(-1)!.seq > through);
    const gone = store.transactions.length - kept.length;
    if (gone === 0) return;
    const last = store.transactions[gone - 1]!.entries.at(-1)!;
    store.trimmed = last.seq;
    store.transactions = kept;
    for (const [id, seq] of store.seqs) if (seq <= last.seq) store.seqs.delete(id);
    for (const [id, row] of store.rows) {
      if (isVisible(row.state) || row.seq > last.seq) continue;
      store.rows.delete(id);
      for (const stamp of stampsOf(row.state)) {
        if (store.purged === undefined || compareStamps(stamp, store.purged) > 0) {
          store.purged = stamp;
        }
      }
    }
  }

  /** A copy of all that the gateway keeps. */
  backup(): () => void {
    const saved = copyStore(this.#store);
    // Putting it back is what a database restored from a backup looks like.
    return () => {
      this.#store = copyStore(saved);
      this.#wake();
    };
  }

  /** Loses everything: an empty store of another epoch. */
  reset(): void {
    this.#store = freshStore(`e${++this.#epochs}`);
    this.#wake();
  }

  /** Appends deltas as a source would, without checks. */
  append(deltas: readonly Delta[]): void {
    this.#append(deltas);
  }

  push(request: PushRequest, options: RequestOptions = {}): Promise<Result<PushAnswer>> {
    return this.#answer({ kind: "push", request }, options, () => this.#push(request));
  }

  async pull(request: PullRequest, options: RequestOptions = {}): Promise<Result<PullAnswer>> {
    const page = () => this.#pull(request);
    const answer = await this.#answer({ kind: "pull", request }, options, page);
    const scheduler = this.#scheduler;
    const { wait = 0 } = request;
    if (scheduler === undefined || wait === 0 || !isEmptyPage(answer)) return answer;
    const over = new AbortController();
    const stop = () => over.abort();
    options.signal?.addEventListener("abort", stop);
    void scheduler.delay(wait * 1000, { signal: over.signal }).then(stop);
    let held: Result<PullAnswer> = answer;
    while (isEmptyPage(held) && !over.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#held.add(wake);
      over.signal.addEventListener("abort", wake);
      await promise;
      over.signal.removeEventListener("abort", wake);
      this.#held.delete(wake);
      held = page();
    }
    stop();
    options.signal?.removeEventListener("abort", stop);
    return options.signal?.aborted === true
      ? err(new LakeSyncError("ABORTED", "The request was stopped"))
      : held;
  }

  checkpoint(
    request: CheckpointRequest,
    options: RequestOptions = {},
  ): Promise<Result<Checkpoint>> {
    return this.#answer({ kind: "checkpoint", request }, options, (breakOff) => {
      const rows: CheckpointRow[] = [];
      for (const { table, rowId, state } of this.#store.rows.values()) {
        if (this.#sees(table, state) && request.tables?.includes(table) !== false) {
          rows.push(encodeRow({ table, rowId, state: cloneRow(state) }));
        }
      }
      return ok({
        seq: this.#store.seq,
        cursor: this.#cursor(this.#store, request),
        rows: stream(rows, { chunk: this.#chunkRows, breakOff }),
      });
    });
  }

  /** The same routes over HTTP, for gateway id `default`. */
  readonly fetch = (request: Request): Promise<Response> =>
    serveGateway(request, this, [...this.#tables.keys()]);

  async #answer<T>(
    request: GatewayRequest,
    options: RequestOptions,
    work: (breakOff: number | undefined) => Result<T>,
  ): Promise<Result<T>> {
    // As over a network, the caller goes on before there is an answer.
    await Promise.resolve();
    if (options.signal?.aborted === true) {
      return err(new LakeSyncError("ABORTED", "The request was stopped"));
    }
    const fault = this.fault(request);
    if (fault?.fault === "lose-request") return offline();
    this.requests.push(structuredClone(request));
    if (fault?.fault === "error") return err(fault.error);
    const answer = work(fault?.fault === "break-off" ? fault.rows : undefined);
    return fault?.fault === "lose-answer" ? offline() : answer;
  }

  #wake(): void {
    for (const wake of [...this.#held]) wake();
  }

  #now(): number {
    return this.#serverMs = Math.max(this.#serverMs, Math.floor(this.#clock.now()));
  }

  #push(request: PushRequest): Result<PushAnswer> {
    const { clientId, deltas, schemaVersion = 0 } = request;
    if (schemaVersion > this.#version) {
      return fail("CONFLICT", "The schema is newer than the gateway's: put it there first");
    }
    const bytes = new TextEncoder().encode(JSON.stringify(request)).length;
    if (deltas.length > MAX_DELTAS || bytes > this.maxPushBytes) {
      return fail("PAYLOAD_TOO_LARGE", "The push is too large: send fewer deltas");
    }
    if (deltas.some((delta) => delta.clientId !== clientId)) {
      return fail("FORBIDDEN", "A delta is another client's");
    }
    const now = this.#now();
    const rejected: Rejection[] = [];
    let accepted = 0;
    let duplicates = 0;
    let drifted = false;
    for (const group of groups(deltas)) {
      const known = group.map(({ delta }) => this.#seqOf(delta) !== undefined);
      const faults = group.map(({ delta }, i) => {
        if (known[i]) return undefined;
        drifted ||= unpackHlc(delta.hlc).wallMs > now + MAX_AHEAD_MS;
        return drifted ? "CLOCK_DRIFT" : this.#fault(delta);
      });
      const first = faults.findIndex((fault) => fault !== undefined);
      for (const [i, { index, delta }] of group.entries()) {
        if (known[i]) {
          duplicates++;
        } else if (first >= 0) {
          const code = i === first ? faults[i]! : "TX_REJECTED";
          rejected.push({ index, deltaId: delta.deltaId, code, message: `Rejected: ${code}` });
        } else accepted++;
      }
      if (first < 0) this.#append(group.filter((_, i) => !known[i]).map(({ delta }) => delta));
    }
    this.#store.lastPush.set(
      clientId,
      new Map(deltas.flatMap((delta) => {
        const seq = this.#seqOf(delta);
        return seq === undefined ? [] : [[delta.deltaId, seq]];
      })),
    );
    const serverHlc = packHlc({ wallMs: now, counter: 0 });
    return ok({ accepted, duplicates, rejected, seq: this.#store.seq, serverHlc });
  }

  #seqOf(delta: Delta): number | undefined {
    return this.#store.seqs.get(delta.deltaId) ??
      this.#store.lastPush.get(delta.clientId)?.get(delta.deltaId);
  }

  #fault(delta: Delta): RejectionCode | undefined {
    const { purged } = this.#store;
    if (parseDelta(delta, this.#tables).fault !== undefined) return "SCHEMA_ERROR";
    if (deltaId(delta) !== delta.deltaId) return "BAD_DELTA_ID";
    const rejected = this.reject(delta);
    if (rejected !== undefined) return rejected;
    const stale = purged !== undefined && compareStamps(delta, purged) <= 0 &&
      this.row(delta.table, delta.rowId) === undefined;
    return stale ? "STALE" : undefined;
  }

  #append(deltas: readonly Delta[]): void {
    if (deltas.length === 0) return;
    const store = this.#store;
    const rows = new Map<string, { before: RowState | undefined; after: RowState }>();
    const entries = deltas.map((delta): Entry => {
      const id = key(delta.table, delta.rowId);
      const held = store.rows.get(id);
      const state = held?.state ?? emptyRow();
      if (!rows.has(id)) {
        rows.set(id, { before: held && cloneRow(held.state), after: state });
      }
      const effect = mergeDelta(state, delta);
      store.seq++;
      store.hash = mix(store.hash, delta.deltaId);
      store.rows.set(id, { table: delta.table, rowId: delta.rowId, seq: store.seq, state });
      store.seqs.set(delta.deltaId, store.seq);
      store.history.push(delta);
      return { seq: store.seq, hash: store.hash, delta, effect };
    });
    for (const row of rows.values()) row.after = cloneRow(row.after);
    store.transactions.push({ entries, rows });
    this.#wake();
  }

  #sees(table: string, state: RowState | undefined): boolean {
    return state !== undefined && isVisible(state) && this.rule(table, state);
  }

  #cursor(
    at: { seq: number; hash: number },
    asked: { tables?: readonly string[]; schemaVersion?: number },
  ): string {
    const { tables, schemaVersion = 0 } = asked;
    const digest = `${this.#ruleVersion}v${schemaVersion}t${tables?.toSorted().join("-") ?? ""}`;
    return [this.#store.epoch, at.seq, at.hash, digest].join(".");
  }

  #pull(request: PullRequest): Result<PullAnswer> {
    const { clientId, cursor, limit = 1000, own, tables } = request;
    const store = this.#store;
    let from = 0;
    if (cursor === "") {
      if (store.trimmed > 0) return required("trimmed");
    } else {
      const [epoch, seqText, hash, digest] = cursor.split(".");
      const seq = Number(seqText);
      if (digest === undefined) return required("foreign");
      if (epoch !== store.epoch) return required("epoch");
      if (seq > store.seq) return required("ahead");
      if (seq < store.trimmed) return required("trimmed");
      const held = this.#hashAt(seq);
      if (held !== undefined && String(held) !== hash) return required("hash");
      if (digest !== this.#cursor({ seq, hash: 0 }, request).split(".")[3]) {
        return required("digest");
      }
      from = seq;
    }
    const items: PageItem[] = [];
    let at = { seq: from, hash: this.#hashAt(from) ?? 0 };
    let hasMore = false;
    for (const transaction of store.transactions) {
      const last = transaction.entries.at(-1)!;
      if (last.seq <= from) continue;
      if (items.length >= limit) {
        hasMore = true;
        break;
      }
      items.push(
        ...this.#items(transaction, { own: own === "ids" ? clientId : undefined, tables }),
      );
      at = last;
    }
    return ok({
      deltas: items,
      cursor: this.#cursor(at, request),
      seq: at.seq,
      hasMore,
      serverHlc: packHlc({ wallMs: this.#now(), counter: 0 }),
    });
  }

  #hashAt(seq: number): number | undefined {
    if (seq === this.#store.seq) return this.#store.hash;
    if (seq === 0) return 0;
    for (const { entries } of this.#store.transactions) {
      for (const entry of entries) if (entry.seq === seq) return entry.hash;
    }
    return undefined;
  }

  /** What a pull returns for a transaction (PROTOCOL, section 2). */
  #items(
    transaction: Transaction,
    asked: { own: string | undefined; tables: readonly string[] | undefined },
  ): PageItem[] {
    const { own, tables } = asked;
    const items: PageItem[] = [];
    const lasts = new Map(
      transaction.entries.map((entry) => [key(entry.delta.table, entry.delta.rowId), entry]),
    );
    for (const entry of transaction.entries) {
      const { delta, effect } = entry;
      const { table, rowId } = delta;
      if (tables?.includes(table) === false) continue;
      const id = key(table, rowId);
      const { before, after } = transaction.rows.get(id)!;
      const tx = delta.txId === undefined ? {} : { txId: delta.txId };
      const was = this.#sees(table, before);
      const is = this.#sees(table, after);
      if (is && (was || before === undefined)) {
        if (!effect.life && effect.columns.length === 0) continue;
        if (delta.clientId === own) items.push({ op: "OWN", deltaId: delta.deltaId, ...tx });
        else {
          const columns = delta.columns.filter(({ column }) => effect.columns.includes(column));
          items.push({ ...delta, columns });
        }
      } else if (lasts.get(id) === entry) {
        if (is) items.push({ op: "ENTER", ...encodeRow({ table, rowId, state: after }), ...tx });
        else if (was) {
          items.push({ op: isVisible(after) ? "REMOVE" : "DELETE", table, rowId, ...tx });
        }
      }
    }
    return items;
  }
}

function isEmptyPage(answer: Result<PullAnswer>): boolean {
  return answer.ok && answer.value.deltas.length === 0 && !answer.value.hasMore;
}

function freshStore(epoch: string): Store {
  return {
    epoch,
    seq: 0,
    hash: 0,
    trimmed: 0,
    transactions: [],
    rows: new Map(),
    seqs: new Map(),
    lastPush: new Map(),
    history: [],
    purged: undefined,
  };
}

function copyStore(store: Store): Store {
  return {
    ...store,
    transactions: [...store.transactions],
    rows: new Map(
      [...store.rows].map(([id, row]) => [id, { ...row, state: cloneRow(row.state) }]),
    ),
    seqs: new Map(store.seqs),
    lastPush: new Map(store.lastPush),
    history: [...store.history],
  };
}

function key(table: string, rowId: string): string {
  return JSON.stringify([table, rowId]);
}

function versionOf(tables: readonly TableSchema[]): number {
  return tables.reduce((version, table) => Math.max(version, table.version), 0);
}

function mix(hash: number, text: string): number {
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function stampsOf(state: RowState): Stamp[] {
  const stamps: Stamp[] = [...state.columns.values()].map(([, hlc, clientId]) => ({
    hlc,
    clientId,
  }));
  if (state.life !== undefined) stamps.push(state.life);
  return stamps;
}

function groups(deltas: readonly Delta[]): { index: number; delta: Delta }[][] {
  const found: { index: number; delta: Delta }[][] = [];
  for (const [index, delta] of deltas.entries()) {
    const last = found.at(-1);
    if (delta.txId !== undefined && last?.[0]?.delta.txId === delta.txId) {
      last.push({ index, delta });
    } else found.push([{ index, delta }]);
  }
  return found;
}

async function* stream(
  rows: readonly CheckpointRow[],
  options: { chunk: number; breakOff: number | undefined },
): AsyncGenerator<readonly CheckpointRow[], void, undefined> {
  const { chunk, breakOff = Infinity } = options;
  for (let i = 0; i < rows.length; i += chunk) {
    if (i + chunk > breakOff) break;
    // Others have their turn between two chunks.
    await Promise.resolve();
    yield rows.slice(i, i + chunk);
  }
  if (breakOff !== Infinity) throw new LakeSyncError("OFFLINE", "The checkpoint broke off");
}

function fail(code: RequestErrorCode, message: string): Result<never> {
  return err(new LakeSyncError(code, message));
}

function required(reason: string): Result<never> {
  return err(
    new LakeSyncError("CHECKPOINT_REQUIRED", `The cursor cannot be served: ${reason}`, {
      details: { reason },
    }),
  );
}

function offline(): Result<never> {
  return err(new LakeSyncError("OFFLINE", "The gateway was not reached"));
}
