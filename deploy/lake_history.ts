import { type Catalogue, icebergLake, lakeColumnName } from "@lakesync/adapter-iceberg";
import { openAnalyst, type QueryRow, type QueryValue } from "@lakesync/analyst";
import {
  type ColumnChange,
  type ColumnType,
  deltaId,
  type DeltaOp,
  encodeBase64,
  err,
  type FlushEntry,
  type JsonValue,
  LakeSyncError,
  ok,
  parseTableSchema,
  type Result,
  type TableSchema,
  type Watermark,
} from "@lakesync/core";

/** Everything that was ever flushed to a lake. */
export interface LakeHistory {
  /** The tables as the lake knows them. */
  readonly tables: readonly TableSchema[];
  /** How far each of them is. */
  readonly marks: ReadonlyMap<string, Watermark>;
  /**
   * Its changes, in the order in which gateways took them, in bounded chunks. A transaction stands
   * together. Throws a `LakeSyncError`.
   */
  changes(): AsyncIterable<readonly FlushEntry[]>;
}

const SCHEMA_PROPERTY = "lakesync.schema";
/** What a changelog's name ends with. */
export const CHANGES = "_changes";

/**
 * Opens the history of a lake.
 *
 * @param catalogue The lake.
 * @returns Its history; `CONFLICT` where a table's changelog cannot be told from another table,
 * `CORRUPT` where its metadata is damaged.
 */
export async function openHistory(catalogue: Catalogue): Promise<Result<LakeHistory>> {
  const names = await catalogue.list();
  if (!names.ok) return names;
  const lake = icebergLake({ catalogue });
  const tables: TableSchema[] = [];
  const marks = new Map<string, Watermark>();
  for (const name of names.value) {
    if (!name.endsWith(CHANGES)) continue;
    const schema = await schemaOf(catalogue, name);
    if (!schema.ok) return schema;
    if (schema.value === undefined) continue;
    const scan = await lake.scan(name);
    if (!scan.ok) return scan;
    tables.push(schema.value);
    if (scan.value.watermark !== undefined) marks.set(schema.value.table, scan.value.watermark);
  }
  const known = new Set(tables.map(({ table }) => table.toLowerCase()));
  const twofold = tables.find(({ table }) => known.has(`${table.toLowerCase()}${CHANGES}`));
  if (twofold !== undefined) {
    return err(
      new LakeSyncError(
        "CONFLICT",
        `Cannot tell the changes of "${twofold.table}" from the table "${twofold.table}${CHANGES}": give one of them a lake of its own`,
      ),
    );
  }
  return ok({ tables, marks, changes: () => readChanges(catalogue, tables) });
}

/** The schema of a changelog's table; undefined where it is no changelog. */
async function schemaOf(
  catalogue: Catalogue,
  name: string,
): Promise<Result<TableSchema | undefined>> {
  const version = await catalogue.load(name);
  if (!version.ok) return version;
  const property = version.value?.metadata.properties[SCHEMA_PROPERTY];
  if (property === undefined) return ok(undefined);
  let value: unknown;
  try {
    value = JSON.parse(property);
  } catch (cause) {
    return err(
      new LakeSyncError("CORRUPT", `Cannot read "${name}": its ${SCHEMA_PROPERTY} is no JSON`, {
        cause,
      }),
    );
  }
  const schema = parseTableSchema(value, SCHEMA_PROPERTY);
  if (!schema.ok) return schema;
  return ok(`${schema.value.table}${CHANGES}` === name ? schema.value : undefined);
}

async function* readChanges(
  catalogue: Catalogue,
  tables: readonly TableSchema[],
): AsyncGenerator<readonly FlushEntry[]> {
  const opened = await openAnalyst({
    lake: icebergLake({ catalogue }),
    store: catalogue.store,
  });
  if (!opened.ok) throw opened.error;
  const analyst = opened.value;
  const readers: TableReader[] = [];
  try {
    for (const schema of tables) {
      // A rebuilt table's rows share one place: theirs stand together by id.
      const stream = await analyst.stream(
        `SELECT * FROM "${schema.table}${CHANGES}" ORDER BY "_commit_ts", "_seq", "id", "_hlc", "_client_id"`,
      );
      if (!stream.ok) throw stream.error;
      const reader = new TableReader(schema, stream.value.chunks);
      if (await reader.advance()) readers.push(reader);
      else await reader.close();
    }
    let chunk: FlushEntry[] = [];
    while (readers.length > 0) {
      const next = readers.reduce((a, b) => b.before(a) ? b : a);
      chunk.push(next.entry);
      if (!(await next.advance())) {
        await next.close();
        readers.splice(readers.indexOf(next), 1);
      }
      if (chunk.length >= 5_000 && endsHere(chunk, readers)) {
        yield chunk;
        chunk = [];
      }
    }
    if (chunk.length > 0) yield chunk;
  } finally {
    for (const reader of readers) await reader.close();
    await analyst.close();
  }
}

/** Whether nothing that comes belongs together with the last change. */
function endsHere(chunk: readonly FlushEntry[], readers: readonly TableReader[]): boolean {
  const last = chunk.at(-1)!;
  const { clientId, txId } = last.delta;
  return readers.every(({ entry }) =>
    !together(entry, last) &&
    (txId === undefined || entry.delta.txId !== txId || entry.delta.clientId !== clientId ||
      entry.at !== last.at)
  );
}

/** Whether two changes are of one row and one place in a log: a rebuilt table has several there. */
export function together(a: FlushEntry, b: FlushEntry): boolean {
  return a.seq === b.seq && a.at === b.at && a.delta.table === b.delta.table &&
    a.delta.rowId === b.delta.rowId;
}

/** A changelog's rows one after the other. */
class TableReader {
  readonly #schema: TableSchema;
  readonly #chunks: AsyncIterator<readonly QueryRow[]>;
  #rows: readonly QueryRow[] = [];
  #at = -1;
  /** The change that it stands at. */
  entry!: FlushEntry;

  constructor(schema: TableSchema, chunks: AsyncIterable<readonly QueryRow[]>) {
    this.#schema = schema;
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Goes to the next change; whether there is one. */
  async advance(): Promise<boolean> {
    this.#at++;
    while (this.#at >= this.#rows.length) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rows = next.value;
      this.#at = 0;
    }
    this.entry = entryOf(this.#rows[this.#at]!, this.#schema);
    return true;
  }

  /** Whether its change comes before another one's. */
  before({ entry }: TableReader): boolean {
    return this.entry.at === entry.at ? this.entry.seq < entry.seq : this.entry.at < entry.at;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** A changelog's row as the delta that it was. */
export function entryOf(row: QueryRow, schema: TableSchema): FlushEntry {
  const carried = new Set((row["_columns"] as string | null)?.split(","));
  const columns: ColumnChange[] = [];
  for (const { name, type } of schema.columns) {
    if (!carried.has(name)) continue;
    const value = row[lakeColumnName(name)] ?? null;
    columns.push({ column: name, value: value === null ? null : QUERY_TO_WIRE[type](value) });
  }
  const txId = row["_tx_id"] as string | null;
  const content = {
    op: row["_op"] as DeltaOp,
    table: schema.table,
    rowId: row["id"] as string,
    clientId: row["_client_id"] as string,
    hlc: BigInt.asUintN(64, BigInt(row["_hlc"] as number | bigint)).toString(),
    columns,
  };
  const delta = { ...content, deltaId: deltaId(content), ...(txId !== null && { txId }) };
  return { seq: Number(row["_seq"]), at: Date.parse(row["_commit_ts"] as string), delta };
}

/** A value of a query's result (never null) in wire form. */
export const QUERY_TO_WIRE: Readonly<Record<ColumnType, (value: QueryValue) => JsonValue>> = {
  string: (value) => value as string,
  number: (value) => value as number,
  integer: (value) => typeof value === "bigint" ? value.toString() : value as number,
  boolean: (value) => value as boolean,
  timestamp: (value) => value as string,
  bytes: (value) => encodeBase64(value as Uint8Array),
  json: (value) => JSON.parse(value as string) as JsonValue,
};
