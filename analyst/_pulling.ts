import {
  type Delta,
  type EnterItem,
  err,
  hasReached,
  type Hlc,
  isDelta,
  LakeSyncError,
  ok,
  type PageItem,
  type Result,
  type TableSchema,
  unpackHlc,
} from "@lakesync/core";
import type { GatewayRequests } from "./_gateway_requests.ts";
import type { PulledChanges } from "./pulled.ts";

/** What was pulled from a cursor on, before which the lake has everything. */
export class Pulling {
  readonly #requests: GatewayRequests;
  readonly #maxDeltas: number;
  readonly #deltas: Delta[] = [];
  /** What was pulled, by {@linkcode identityOf}. */
  readonly #known: Set<string> = new Set();
  readonly #deleted: Map<string, Map<string, number>> = new Map();
  #cursor: string;
  #tag = "";
  #schemas: readonly TableSchema[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    requests: GatewayRequests,
    { cursor, maxDeltas }: { cursor: string; maxDeltas: number },
  ) {
    this.#requests = requests;
    this.#cursor = cursor;
    this.#maxDeltas = maxDeltas;
  }

  /** Takes a cursor and has the gateway flush what is before it. */
  static async open(
    requests: GatewayRequests,
    { maxDeltas }: { maxDeltas: number },
  ): Promise<Result<Pulling>> {
    const start = await requests.cursor();
    if (!start.ok) return start;
    const flushed = await requests.flush();
    if (!flushed.ok) return flushed;
    const { cursor, seq } = start.value;
    // Other destinations may be behind: the lake is what counts.
    const lake = hasReached(flushed.value, seq) ? flushed : await requests.lakeSeq();
    if (!lake.ok) return lake;
    if (lake.value === undefined || !hasReached(lake.value, seq)) {
      return err(new LakeSyncError("BACKPRESSURE", "The gateway's flush takes long: ask again"));
    }
    const pulling = new Pulling(requests, { cursor, maxDeltas });
    const pulled = await pulling.pull();
    return pulled.ok ? ok(pulling) : pulled;
  }

  get schemas(): readonly TableSchema[] {
    return this.#schemas;
  }

  /** Pulls what is new, one caller after the other. */
  async pull(signal?: AbortSignal): Promise<Result<void>> {
    const pulled = this.#turn.then(() => this.#pull(signal));
    this.#turn = pulled;
    return await pulled;
  }

  /** What was pulled up to now. */
  changes(): PulledChanges {
    const deleted = new Map([...this.#deleted].map(([table, rows]) => [table, new Map(rows)]));
    return { deltas: [...this.#deltas], deleted };
  }

  async #pull(signal: AbortSignal | undefined): Promise<Result<void>> {
    for (let more = true;;) {
      if (this.#deltas.length > this.#maxDeltas) {
        const message = `More than ${this.#maxDeltas} deltas are not in the lake: ask again`;
        return err(new LakeSyncError("PAYLOAD_TOO_LARGE", message));
      }
      if (!more) return ok(undefined);
      const page = await this.#requests.pull({ cursor: this.#cursor, tag: this.#tag, signal });
      if (!page.ok) return page;
      const { deltas, cursor, schema, hasMore, serverHlc } = page.value;
      for (const item of deltas) this.#take(item, serverHlc);
      this.#cursor = cursor;
      if (schema !== undefined) {
        this.#tag = schema.tag;
        this.#schemas = schema.tables;
      }
      more = hasMore;
    }
  }

  #take(item: PageItem, serverHlc: Hlc): void {
    if (isDelta(item)) return this.#add([item]);
    // A row that rules hide from now on stays as the lake has it. Own deltas are not asked for as such.
    if (item.op === "ENTER") return this.#add(deltasOf(item));
    if (item.op !== "DELETE") return;
    const rows = this.#deleted.get(item.table) ?? new Map<string, number>();
    this.#deleted.set(item.table, rows.set(item.rowId, unpackHlc(serverHlc).wallMs));
  }

  #add(deltas: readonly Delta[]): void {
    for (const delta of deltas) {
      this.#deleted.get(delta.table)?.delete(delta.rowId);
      const identity = identityOf(delta);
      // A row that rules show again brings what may be known.
      if (this.#known.has(identity)) continue;
      this.#known.add(identity);
      this.#deltas.push(delta);
    }
  }
}

/** Tells one change of a row from its others, whichever of its columns it carries. */
export function identityOf({ op, table, rowId, hlc, clientId }: Delta): string {
  return JSON.stringify([op, table, rowId, hlc, clientId]);
}

/** The deltas that a row's state is made of, as far as they count. */
function deltasOf({ table, rowId, life, columns, txId }: EnterItem): readonly Delta[] {
  const parts = new Map([[JSON.stringify(life), new Array<Delta["columns"][number]>()]]);
  for (const [column, [value, hlc, clientId]] of Object.entries(columns)) {
    const stamp = JSON.stringify([hlc, clientId]);
    const part = parts.get(stamp);
    if (part === undefined) parts.set(stamp, [{ column, value }]);
    else part.push({ column, value });
  }
  // The INSERT is the first.
  return [...parts].map(([stamp, columns], i) => {
    const [hlc, clientId] = JSON.parse(stamp) as readonly [string, string];
    const op = i === 0 ? "INSERT" : "UPDATE";
    const tx = i === 0 && txId !== undefined ? { txId } : {};
    return { op, table, rowId, clientId, columns, hlc, deltaId: "", ...tx };
  });
}
