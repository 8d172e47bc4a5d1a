import { compareCodePoints } from "@lakesync/core";
import { bigintRange } from "./_range.ts";
import type { IcebergField } from "./lake_schema.ts";
import { encodeColumns, type EncodedFile } from "./parquet.ts";
import { readColumns } from "./parquet_read.ts";

/**
 * Files of positions of deleted rows.
 *
 * @see {@link https://iceberg.apache.org/spec/#position-delete-files | Iceberg, Position Delete Files}
 */

const PATH: IcebergField = { id: 2147483546, name: "file_path", required: true, type: "string" };
const POSITION: IcebergField = { id: 2147483545, name: "pos", required: true, type: "long" };

/** Positions of rows, from 0 on, by the URL of their file. */
export type Positions = ReadonlyMap<string, readonly number[]>;

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
