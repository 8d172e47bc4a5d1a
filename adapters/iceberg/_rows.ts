import type { ColumnType, FlushEntry, JsonValue } from "@lakesync/core";
import { type Cell, toCell } from "./_cells.ts";
import type { LakeField } from "./lake_schema.ts";
import { TextCodes } from "./_text_codes.ts";
import { encodeTexts, orderTexts } from "./_texts.ts";

export type { Cell };

/** Rows of one table and day, column by column: what becomes a data file. */
export interface RowColumns {
  /** How many rows there are. */
  readonly count: number;
  /** The place in the log. */
  readonly seq: Float64Array;
  /** What was done. */
  readonly op: readonly string[];
  /** The keys, in UTF-8; equal ones are one and the same array. */
  readonly id: readonly Uint8Array[];
  /** The first and the last key, and how many different ones there are. */
  readonly ids: { readonly min: string; readonly max: string; readonly distinct: number };
  /** The stamps, as signed 64 bits. */
  readonly hlc: BigInt64Array;
  /** The makers. */
  readonly clientId: readonly string[];
  /** The transactions. */
  readonly txId: readonly (string | null)[];
  /** When the gateway took them, in ms. */
  readonly at: Float64Array;
  /** What they carry. */
  readonly columns: readonly (string | null)[];
  /** The user's columns. */
  readonly cells: readonly (readonly Cell[])[];
}

/** A row as a file has it. */
export interface StoredRow {
  readonly seq: number;
  readonly at: number;
  readonly op: string;
  readonly rowId: string;
  /** The stamp; a signed long will do. */
  readonly hlc: bigint;
  readonly clientId: string;
  readonly txId: string | null;
  /** The names of the columns that it carries. */
  readonly columns: string | null;
  readonly cells: readonly Cell[];
}

const ROW_WEIGHT = 100;
const FIRST_ROWS = 1024;

/** Collects the rows of one table and gives them sorted by `id`, then `_hlc`. */
export class RowBuffer {
  readonly #places: ReadonlyMap<string, number>;
  readonly #types: readonly ColumnType[];
  readonly #names: readonly string[];
  /** What a row carries that has all columns: one text for all of them. */
  readonly #allNames: string;
  #count = 0;
  #weight = 0;
  // Numbers are kept apart from what the garbage collector has to look at; their room stays.
  #seq = new Float64Array(FIRST_ROWS);
  #at = new Float64Array(FIRST_ROWS);
  #hlc = new BigInt64Array(FIRST_ROWS);
  #idCode = new Uint32Array(FIRST_ROWS);
  readonly #ids = new TextCodes();
  #op: string[] = [];
  #clientId: string[] = [];
  #txId: (string | null)[] = [];
  #columns: (string | null)[] = [];
  #cells: Cell[][];

  /** @param columns The user's columns, in the table's order. */
  constructor(columns: readonly LakeField[]) {
    this.#places = new Map(columns.map(({ column }, i) => [column.name, i]));
    this.#types = columns.map(({ column }) => column.type);
    this.#names = columns.map(({ column }) => column.name);
    this.#allNames = this.#names.join(",");
    this.#cells = columns.map(() => []);
  }

  /** How many rows wait. */
  get count(): number {
    return this.#count;
  }

  /** About how many bytes they take. */
  get weight(): number {
    return this.#weight;
  }

  /**
   * Adds a row.
   *
   * @throws {RangeError} Where it carries a column that the table has not, or a value that is not
   * in its wire form. Then the buffer is of no more use.
   */
  add({ seq, at, delta }: FlushEntry): void {
    const { op, rowId, hlc, clientId, txId = null } = delta;
    const row = this.#add({ seq, at: Math.floor(at), op, rowId, hlc: BigInt(hlc), clientId, txId });
    for (const cells of this.#cells) cells.push(null);
    this.#weight += ROW_WEIGHT + this.#addCells(row, delta.columns);
  }

  /** Adds a row as a file has it: the cells in the table's order. */
  addStored(stored: StoredRow): void {
    this.#add(stored);
    this.#columns.push(stored.columns);
    for (const [i, cell] of stored.cells.entries()) this.#cells[i]!.push(cell);
    this.#weight += ROW_WEIGHT;
  }

  #add({ seq, at, op, rowId, hlc, clientId, txId }: Omit<StoredRow, "columns" | "cells">): number {
    const row = this.#count++;
    if (row === this.#seq.length) this.#grow();
    this.#seq[row] = seq;
    this.#at[row] = at;
    this.#hlc[row] = hlc;
    this.#idCode[row] = this.#ids.codeOf(rowId);
    this.#op.push(op);
    this.#clientId.push(clientId);
    this.#txId.push(txId);
    return row;
  }

  #grow(): void {
    const room = this.#count * 2;
    const [seq, at, hlc, idCode] = [this.#seq, this.#at, this.#hlc, this.#idCode];
    (this.#seq = new Float64Array(room)).set(seq);
    (this.#at = new Float64Array(room)).set(at);
    (this.#hlc = new BigInt64Array(room)).set(hlc);
    (this.#idCode = new Uint32Array(room)).set(idCode);
  }

  #addCells(
    row: number,
    columns: readonly { readonly column: string; readonly value: JsonValue }[],
  ): number {
    let weight = 0;
    let last = -1;
    let ordered = true;
    for (const { column, value } of columns) {
      const place = this.#places.get(column);
      if (place === undefined) throw new RangeError(`column "${column}" is not in its schema`);
      if (place < last) ordered = false;
      last = place;
      if (value === null) continue;
      const cell = toCell(this.#types[place]!, value);
      this.#cells[place]![row] = cell;
      weight += typeof cell === "string" || cell instanceof Uint8Array ? cell.length : 8;
    }
    this.#columns.push(this.#listOf(columns, ordered));
    return weight;
  }

  #listOf(columns: readonly { readonly column: string }[], ordered: boolean): string | null {
    if (columns.length === 0) return null;
    if (columns.length === 1) return columns[0]!.column;
    if (ordered && columns.length === this.#names.length) return this.#allNames;
    if (ordered) return columns.map(({ column }) => column).join(",");
    const places = columns.map(({ column }) => this.#places.get(column)!);
    return places.sort((a, b) => a - b).map((place) => this.#names[place]!).join(",");
  }

  /** The rows, sorted; the buffer is empty afterwards. There must be one at least. */
  take(): RowColumns {
    const { texts } = this.#ids;
    const places = orderTexts(texts);
    const sorted = Array.from(places, (code) => texts[code]!);
    const rank = new Uint32Array(sorted.length);
    for (let i = 0; i < places.length; i++) rank[places[i]!] = i;
    const order = this.#order(rank);
    const pick = <T>(values: readonly T[]): T[] => {
      const picked = new Array<T>(order.length);
      for (let i = 0; i < order.length; i++) picked[i] = values[order[i]!]!;
      return picked;
    };
    const encoded = encodeTexts(sorted);
    const id = new Array<Uint8Array>(order.length);
    const seq = new Float64Array(order.length);
    const at = new Float64Array(order.length);
    const hlc = new BigInt64Array(order.length);
    for (let i = 0; i < order.length; i++) {
      const row = order[i]!;
      id[i] = encoded[rank[this.#idCode[row]!]!]!;
      seq[i] = this.#seq[row]!;
      at[i] = this.#at[row]!;
      hlc[i] = this.#hlc[row]!;
    }
    const rows: RowColumns = {
      count: this.#count,
      seq,
      op: pick(this.#op),
      id,
      ids: { min: sorted[0]!, max: sorted.at(-1)!, distinct: sorted.length },
      hlc,
      clientId: pick(this.#clientId),
      txId: pick(this.#txId),
      at,
      columns: pick(this.#columns),
      cells: this.#cells.map(pick),
    };
    this.clear();
    return rows;
  }

  /** Forgets the rows. */
  clear(): void {
    this.#count = 0;
    this.#weight = 0;
    this.#op = [];
    this.#ids.clear();
    this.#clientId = [];
    this.#txId = [];
    this.#columns = [];
    this.#cells = this.#cells.map(() => []);
  }

  /**
   * Rows in the order of id and stamp: dealt out by their ids' ranks, and what falls to one id,
   * nearly in order already, put right.
   */
  #order(rank: Uint32Array): Uint32Array {
    const codes = this.#idCode.subarray(0, this.#count);
    const starts = new Uint32Array(rank.length + 1);
    for (const code of codes) starts[rank[code]! + 1]!++;
    for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
    const next = starts.slice();
    const order = new Uint32Array(this.#count);
    for (let row = 0; row < order.length; row++) order[next[rank[codes[row]!]!]!++] = row;
    const hlc = this.#hlc;
    for (let group = 0; group < rank.length; group++) {
      const start = starts[group]!;
      const end = starts[group + 1]!;
      for (let i = start + 1; i < end; i++) {
        if (hlc[order[i]!]! >= hlc[order[i - 1]!]!) continue;
        // Rows of equal stamps stay in the log's order.
        order.subarray(start, end).sort((a, b) =>
          hlc[a]! < hlc[b]! ? -1 : hlc[a]! > hlc[b]! ? 1 : a - b
        );
        break;
      }
    }
    return order;
  }
}
