import type { ObjectStore } from "@lakesync/core";
import type { Cell } from "./_cells.ts";
import { RowBuffer } from "./_rows.ts";
import { FIELD, type SchemaPlan } from "./lake_schema.ts";
import type { TableMetadata } from "./metadata.ts";
import { encodeDataFile, type EncodedFile } from "./parquet.ts";
import { readColumns } from "./parquet_read.ts";
import { schemaEntry } from "./snapshot.ts";

/**
 * One changelog file of the rows of several. Throws what goes wrong.
 *
 * @throws {RangeError} Where a file is damaged.
 */
export async function mergeFiles(
  store: ObjectStore,
  { keys, plan, metadata }: {
    keys: readonly string[];
    plan: SchemaPlan;
    metadata: TableMetadata;
  },
): Promise<EncodedFile> {
  const buffer = new RowBuffer(plan.columns);
  for (const key of keys) {
    const bytes = await store.get(key);
    if (!bytes.ok) throw bytes.error;
    const { rows, columns } = await readColumns(bytes.value);
    const texts = (field: number) => columns.get(field) as ArrayLike<string>;
    const longs = (field: number) => columns.get(field) as ArrayLike<bigint>;
    const names = columns.get(FIELD.columns) as ArrayLike<string | undefined> | undefined;
    const transactions = columns.get(FIELD.txId) as ArrayLike<string | undefined> | undefined;
    const values = plan.columns.map(({ field }) => columns.get(field.id));
    for (let row = 0; row < rows; row++) {
      buffer.addStored({
        seq: Number(longs(FIELD.seq)[row]!),
        at: Number(longs(FIELD.commitTs)[row]! / 1000n),
        op: texts(FIELD.op)[row]!,
        rowId: texts(FIELD.id)[row]!,
        hlc: longs(FIELD.hlc)[row]!,
        clientId: texts(FIELD.clientId)[row]!,
        txId: transactions?.[row] ?? null,
        columns: names?.[row] ?? null,
        cells: values.map((cells): Cell => cells?.[row] ?? null),
      });
    }
  }
  return encodeDataFile(buffer.take(), { columns: plan.columns, schema: schemaEntry(metadata) });
}
