import {
  err,
  type LakeFile,
  LakeSyncError,
  type ObjectStore,
  ok,
  type Result,
  toLakeSyncError,
} from "@lakesync/core";
import type { EngineFile } from "./compact_engine.ts";
import { GoneRows } from "./compact_gone.ts";
import { damaged } from "./commit.ts";
import { findRows } from "./parquet_read.ts";
import { STATE_FIELD } from "./state_schema.ts";

/** Finds out which rows of a snapshot's files are gone: what is asked for is read, and once. */
export function goneReader(
  store: ObjectStore,
  { table, files }: { table: string; files: readonly EngineFile[] },
): (file: EngineFile) => LakeFile["gone"] {
  const byBucket = new Map<number | null, EngineFile[]>();
  for (const one of files) {
    if ((one.file.content ?? 0) === 0) continue;
    const list = byBucket.get(one.file.partition);
    if (list === undefined) byBucket.set(one.file.partition, [one]);
    else list.push(one);
  }
  const known = new Map<EngineFile, Promise<GoneRows>>();
  return (data) => {
    const deletes = (byBucket.get(data.file.partition) ?? []).filter((one) => concerns(one, data));
    if (deletes.length === 0) return undefined;
    return async (options = {}) => {
      const places = new Set<number>();
      try {
        for (const one of deletes) {
          let reading = known.get(one);
          if (reading === undefined) {
            // It is for others, too: nobody's signal stops it.
            known.set(one, reading = GoneRows.read(store, [one]));
            // Who comes next tries again.
            reading.catch(() => known.delete(one));
          }
          const gone = await reading;
          for (const place of gone.positions.get(data.file.path) ?? []) places.add(place);
          if (options.signal?.aborted === true) return stopped(options.signal);
          for (const place of await placesOf(store, { data, gone })) places.add(place);
        }
        return ok([...places]);
      } catch (thrown) {
        return err(
          thrown instanceof RangeError
            ? damaged(table, thrown)
            : toLakeSyncError(thrown, "INTERNAL"),
        );
      }
    };
  };
}

/** Whether a file of deletes may say something of a data file in its bucket. */
function concerns(
  { file: { content, format, referencedDataFile }, sequenceNumber }: EngineFile,
  data: EngineFile,
): boolean {
  if (content === 2) return sequenceNumber > data.sequenceNumber;
  if (format === "PUFFIN") return referencedDataFile === data.file.path;
  return sequenceNumber >= data.sequenceNumber;
}

/** The places in a file of rows that are gone by their ids. */
async function placesOf(
  store: ObjectStore,
  { data, gone }: { data: EngineFile; gone: GoneRows },
): Promise<readonly number[]> {
  if (gone.ids.size === 0) return [];
  const bytes = await store.get(data.key);
  if (!bytes.ok) throw bytes.error;
  const wanted = { fieldId: STATE_FIELD.id, wanted: gone.ids };
  return (await findRows(bytes.value, wanted)).places;
}

function stopped(signal: AbortSignal): Result<never> {
  return err(
    new LakeSyncError("ABORTED", "Stopped to read which rows are gone: the signal was aborted", {
      cause: signal.reason,
    }),
  );
}
