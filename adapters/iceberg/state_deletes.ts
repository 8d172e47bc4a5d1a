import { compareCodePoints } from "@lakesync/core";
import { bigintRange } from "./_range.ts";
import { encodeTexts, orderTexts } from "./_texts.ts";
import type { IcebergField } from "./lake_schema.ts";
import { encodeColumns, type EncodedFile } from "./parquet.ts";
import { readColumns } from "./parquet_read.ts";
import { STATE_FIELD, STATE_FIELDS } from "./state_schema.ts";

/**
 * Files that tell which rows are gone: by their positions, or by their ids.
 *
 * @see {@link https://iceberg.apache.org/spec/#position-delete-files | Iceberg, Position Delete Files}
 * @see {@link https://iceberg.apache.org/spec/#equality-delete-files | Iceberg, Equality Delete Files}
 */

const PATH: IcebergField = { id: 2147483546, name: "file_path", required: true, type: "string" };
const POSITION: IcebergField = { id: 2147483545, name: "pos", required: true, type: "long" };

/** Positions of rows, from 0 on, by the URL of their file. */
export type Positions = ReadonlyMap<string, readonly number[]>;

/** Rows that a compaction takes out of files that stay. */
export interface DeletedRows {
  /** Where they are. */
  readonly positions: Positions;
  /** Their ids, each once. */
  readonly ids: readonly string[];
  /** Where rows are, in the same files, that were gone before. */
  readonly before: Positions;
}

/** The file of some positions: at least one. */
export function encodeDeletes(positions: Positions): EncodedFile & { readonly rows: number } {
  const paths: string[] = [];
  const list: bigint[] = [];
  for (const path of [...positions.keys()].sort(compareCodePoints)) {
    for (const position of [...positions.get(path)!].sort((a, b) => a - b)) {
      paths.push(path);
      list.push(BigInt(position));
    }
  }
  const rows = paths.length;
  const places = BigInt64Array.from(list);
  const pathRange = { min: paths[0]!, max: paths.at(-1)!, nulls: 0 };
  return {
    rows,
    ...encodeColumns(
      [
        { field: PATH, data: paths, encoding: "RLE_DICTIONARY", range: pathRange },
        { field: POSITION, data: places, encoding: "PLAIN", range: bigintRange(places) },
      ],
      { rows, schema: { type: "struct", "schema-id": 0, fields: [PATH, POSITION] } },
    ),
  };
}

/**
 * Adds the positions in a file to those that are known.
 *
 * @throws {RangeError} Where the file is damaged.
 */
export async function addDeletes(
  bytes: Uint8Array,
  known: Map<string, Set<number>>,
): Promise<void> {
  const { rows, columns } = await readColumns(bytes, { fieldIds: [PATH.id, POSITION.id] });
  const paths = columns.get(PATH.id) as ArrayLike<string> | undefined;
  const positions = columns.get(POSITION.id) as ArrayLike<bigint> | undefined;
  for (let row = 0; row < rows; row++) {
    const path = paths?.[row];
    const position = positions?.[row];
    if (path === undefined || position === undefined) throw new RangeError("a position is missing");
    const set = known.get(path);
    if (set === undefined) known.set(path, new Set([Number(position)]));
    else set.add(Number(position));
  }
}

const ID = STATE_FIELDS.find(({ id }) => id === STATE_FIELD.id)!;

/** The file of some ids, at least one, and the field id of what they are. */
export function encodeEqualityDeletes(
  ids: readonly string[],
): { readonly file: EncodedFile & { readonly rows: number }; readonly field: number } {
  const sorted = Array.from(orderTexts(ids), (place) => ids[place]!);
  const rows = sorted.length;
  const range = { min: sorted[0]!, max: sorted.at(-1)!, nulls: 0 };
  const file = encodeColumns(
    [{ field: ID, data: encodeTexts(sorted), encoding: "PLAIN", range }],
    { rows, schema: { type: "struct", "schema-id": 0, fields: [ID] } },
  );
  return { file: { rows, ...file }, field: ID.id };
}

/**
 * The ids in a file of ids.
 *
 * @throws {RangeError} Where the file is damaged.
 */
export async function readEqualityDeletes(bytes: Uint8Array): Promise<readonly string[]> {
  const { rows, columns } = await readColumns(bytes, { fieldIds: [ID.id] });
  const ids = columns.get(ID.id) as ArrayLike<string> | undefined;
  if (rows > 0 && ids === undefined) throw new RangeError("it has no ids");
  return Array.from(ids ?? []);
}
