import type { Cell } from "./_cells.ts";
import { bigintRange, textRange } from "./_range.ts";
import { encodeTexts, orderTexts } from "./_texts.ts";
import type { FoldedFile } from "./compact_engine.ts";
import type { LakeField } from "./lake_schema.ts";
import type { SchemaEntry } from "./metadata.ts";
import { encodeColumns, type FileColumn, userColumns } from "./parquet.ts";
import type { ReadColumns } from "./parquet_read.ts";
import type { StateRow } from "./state_row.ts";
import { STATE_FIELD, STATE_FIELDS } from "./state_schema.ts";
import { FILE_ROWS, FILE_WEIGHT } from "./_table_write.ts";

/** A file of no more rows has no dictionaries: to look whether they pay takes longer than they save. */
const FEW = 4096;

/** A state table's file, column by column. */
export interface StateFile {
  readonly rows: number;
  readonly id: ArrayLike<string>;
  readonly hlc: ArrayLike<bigint>;
  readonly clientId: ArrayLike<string>;
  readonly stamps: ArrayLike<Cell | undefined> | undefined;
  /** The app's columns; undefined for those that the file lacks. */
  readonly cells: readonly (ArrayLike<Cell | undefined> | undefined)[];
}

/** A state table's file as it was read. */
export function stateFile(
  { rows, columns }: ReadColumns,
  fields: readonly LakeField[],
): StateFile {
  return {
    rows,
    id: columns.get(STATE_FIELD.id) as ArrayLike<string>,
    hlc: columns.get(STATE_FIELD.hlc) as ArrayLike<bigint>,
    clientId: columns.get(STATE_FIELD.clientId) as ArrayLike<string>,
    stamps: columns.get(STATE_FIELD.stamps),
    cells: fields.map(({ field }) => columns.get(field.id)),
  };
}

/** A row of a file. */
export function rowAt(file: StateFile, row: number): StateRow {
  return {
    hlc: file.hlc[row]!,
    clientId: file.clientId[row]!,
    stamps: (file.stamps?.[row] ?? null) as string | null,
    cells: file.cells.map((cells) => cells?.[row] ?? null),
  };
}

/** Collects rows and makes files of them, sorted by `id`. */
export class StateRows {
  readonly #fields: readonly LakeField[];
  readonly #id: string[] = [];
  readonly #hlc: bigint[] = [];
  readonly #clientId: string[] = [];
  readonly #stamps: (string | null)[] = [];
  readonly #cells: Cell[][];

  /** @param fields The app's columns. */
  constructor(fields: readonly LakeField[]) {
    this.#fields = fields;
    this.#cells = fields.map(() => []);
  }

  /** Adds a row. */
  add(id: string, { hlc, clientId, stamps, cells }: StateRow): void {
    this.#id.push(id);
    this.#hlc.push(hlc);
    this.#clientId.push(clientId);
    this.#stamps.push(stamps);
    for (let i = 0; i < cells.length; i++) this.#cells[i]!.push(cells[i]!);
  }

  /** Adds a row of a file as it is. */
  copy(file: StateFile, row: number): void {
    this.#id.push(file.id[row]!);
    this.#hlc.push(file.hlc[row]!);
    this.#clientId.push(file.clientId[row]!);
    this.#stamps.push((file.stamps?.[row] ?? null) as string | null);
    for (let i = 0; i < this.#cells.length; i++) {
      this.#cells[i]!.push(file.cells[i]?.[row] ?? null);
    }
  }

  /** The files of all rows. */
  files(schema: SchemaEntry): FoldedFile[] {
    const order = orderTexts(this.#id);
    const files: FoldedFile[] = [];
    for (let start = 0; start < order.length;) {
      const end = this.#endOfFile(order, start);
      files.push(this.#encode(order.subarray(start, end), schema));
      start = end;
    }
    return files;
  }

  #endOfFile(order: Uint32Array, start: number): number {
    const last = Math.min(order.length, start + FILE_ROWS);
    let weight = 0;
    for (let end = start; end < last; end++) {
      for (const cells of this.#cells) {
        const cell = cells[order[end]!]!;
        weight += typeof cell === "string" || cell instanceof Uint8Array ? cell.length : 8;
      }
      if (weight >= FILE_WEIGHT) return end + 1;
    }
    return last;
  }

  #encode(order: Uint32Array, schema: SchemaEntry): FoldedFile {
    const pick = <T>(values: readonly T[]): T[] => Array.from(order, (place) => values[place]!);
    const id = pick(this.#id);
    const hlc = BigInt64Array.from(pick(this.#hlc));
    const clientId = pick(this.#clientId);
    const stamps = pick(this.#stamps);
    const [idField, hlcField, clientField, stampsField] = STATE_FIELDS;
    const own: FileColumn[] = [
      {
        field: idField!,
        data: encodeTexts(id),
        encoding: "PLAIN",
        range: { min: id[0]!, max: id.at(-1)!, nulls: 0 },
      },
      { field: hlcField!, data: hlc, encoding: "PLAIN", range: bigintRange(hlc) },
      {
        field: clientField!,
        data: clientId,
        encoding: "RLE_DICTIONARY",
        range: textRange(clientId),
      },
      { field: stampsField!, data: stamps, range: textRange(stamps) },
    ];
    const all = [...own, ...userColumns(this.#cells.map(pick), this.#fields)];
    const columns = order.length > FEW ? all : all.map((column) => plain(column));
    return { rows: order.length, ...encodeColumns(columns, { rows: order.length, schema }) };
  }
}

/** A column that is written as it is, its texts made bytes at once. */
function plain({ field, data, range, encoding = "PLAIN" }: FileColumn): FileColumn {
  const texts = encoding === "PLAIN" && Array.isArray(data) && data.length > 0 &&
    data.every((cell): cell is string => typeof cell === "string");
  return { field, data: texts ? encodeTexts(data) : data, range, encoding };
}
