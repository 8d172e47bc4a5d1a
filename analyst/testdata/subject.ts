import { type ColumnSource, parquetWriteBuffer, type SchemaElement } from "hyparquet-writer";
import {
  canonicalJson,
  type ColumnType,
  compareCodePoints,
  compareHlc,
  decodeBase64,
  type Delta,
  type DeltaOp,
  err,
  type FlushEntry,
  type JsonValue,
  type LakeColumn,
  type LakeFile,
  type LakeReader,
  type LakeScan,
  LakeSyncError,
  type ObjectStore,
  ok,
  type Result,
  type ScanOptions,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { memoryObjectStore } from "@lakesync/testing";
import { lakeColumnName } from "../_layout.ts";
import type { Analyst, QueryOptions } from "../analyst.ts";
import type { PendingDeltas } from "../pending.ts";
import type { AnalystSources } from "../sources.ts";
import type { QueryRow } from "../values.ts";

const OWN: readonly LakeColumn[] = [
  { fieldId: 1, name: "_seq", type: "long" },
  { fieldId: 2, name: "_op", type: "string" },
  { fieldId: 3, name: "id", type: "string" },
  { fieldId: 4, name: "_hlc", type: "long" },
  { fieldId: 5, name: "_client_id", type: "string" },
  { fieldId: 6, name: "_tx_id", type: "string" },
  { fieldId: 7, name: "_commit_ts", type: "timestamptz" },
  { fieldId: 8, name: "_columns", type: "string" },
];

const LAKE_TYPES: Readonly<Record<ColumnType, string>> = {
  string: "string",
  number: "double",
  integer: "long",
  boolean: "boolean",
  timestamp: "timestamptz",
  bytes: "binary",
  json: "string",
};

const ELEMENTS: ReadonlyMap<string, Partial<SchemaElement>> = new Map([
  ["string", { type: "BYTE_ARRAY", converted_type: "UTF8" }],
  ["double", { type: "DOUBLE" }],
  ["long", { type: "INT64" }],
  ["boolean", { type: "BOOLEAN" }],
  ["timestamptz", {
    type: "INT64",
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" },
  }],
  ["binary", { type: "BYTE_ARRAY" }],
]);

/** A microsecond count for a timestamp's wire form. */
function micros(wire: string): bigint {
  return BigInt(Date.parse(`${wire.slice(0, 23)}Z`)) * 1000n + BigInt(wire.slice(23, 26));
}

function cell(type: ColumnType, value: JsonValue | undefined): unknown {
  if (value === undefined || value === null) return null;
  switch (type) {
    case "integer":
      return BigInt(value as number | string);
    case "timestamp":
      return micros(value as string);
    case "bytes":
      return decodeBase64(value as string);
    case "json":
      return canonicalJson(value);
    default:
      return value;
  }
}

/** An engine under test. */
export interface AnalystSubject {
  /** Calls with an empty lake whose files it can read. */
  withLake(use: (lake: TestLake) => Promise<void>): Promise<void>;
  /** Opens an analyst; `store` has the objects of a lake that is another one than that of `withLake`. */
  open(
    options: AnalystSources & { readonly store?: ObjectStore; readonly keptBytes?: number },
  ): Promise<Result<Analyst>>;
  /** Makes a query that runs until it is stopped. */
  readonly endless: string;
}

/** A query's rows. */
export async function rowsOf(
  analyst: Analyst,
  sql: string,
  options?: QueryOptions,
): Promise<readonly QueryRow[]> {
  return unwrapOrThrow(await analyst.query(sql, options)).rows;
}

/** Puts a file where DuckDB opens it, and gives its URL. */
export type PlaceFile = (name: string, bytes: Uint8Array) => Promise<string>;

/** A lake for tests: Parquet files, as docs/lake.md lays them out. */
export class TestLake implements LakeReader {
  readonly #place: PlaceFile;
  /** Its files by their keys. */
  readonly store: ObjectStore = memoryObjectStore();
  readonly #tables: Map<string, { scan: LakeScan; schema: TableSchema }> = new Map();
  readonly #snapshots: Map<string, LakeScan> = new Map();
  #files = 0;
  /** How often each table was scanned. */
  readonly scans: Map<string, number> = new Map();

  constructor(place: PlaceFile) {
    this.#place = place;
  }

  /** Makes a table, or adds columns to it. */
  define(schema: TableSchema): void {
    const name = `${schema.table}_changes`;
    const scan = this.#tables.get(name)?.scan;
    const columns = [...scan?.columns ?? OWN];
    for (const column of schema.columns) {
      const lakeName = lakeColumnName(column.name);
      if (!columns.some((known) => known.name === lakeName)) {
        columns.push({
          fieldId: columns.length + 1,
          name: lakeName,
          type: LAKE_TYPES[column.type],
        });
      }
    }
    const types = new Map(schema.columns.map((column) => [column.name, column.type]));
    const { files = [], watermark, snapshotId } = scan ?? {};
    this.#tables.set(name, { schema, scan: { columns, types, files, watermark, snapshotId } });
  }

  /** Adds a data file and moves the watermark. */
  async write(
    table: string,
    options: { entries: readonly FlushEntry[]; to: Watermark },
  ): Promise<void> {
    const { entries, to } = options;
    const { scan, schema } = this.#tables.get(`${table}_changes`)!;
    const files = [...scan.files];
    if (entries.length > 0) files.push(await this.#writeFile(schema, { scan, entries }));
    const next = { ...scan, files, watermark: to, snapshotId: BigInt(files.length) };
    this.#tables.set(`${table}_changes`, { schema, scan: next });
    this.#snapshots.set(`${table}_changes ${next.snapshotId}`, next);
  }

  async #writeFile(
    schema: TableSchema,
    options: { scan: LakeScan; entries: readonly FlushEntry[] },
  ): Promise<LakeFile> {
    const { scan, entries } = options;
    const carried = entries.map(({ delta }) =>
      new Map(delta.columns.map(({ column, value }) => [column, value]))
    );
    const own: ReadonlyMap<string, unknown[]> = new Map<string, unknown[]>([
      ["_seq", entries.map(({ seq }) => BigInt(seq))],
      ["_op", entries.map(({ delta }) => delta.op)],
      ["id", entries.map(({ delta }) => delta.rowId)],
      ["_hlc", entries.map(({ delta }) => BigInt(delta.hlc))],
      ["_client_id", entries.map(({ delta }) => delta.clientId)],
      ["_tx_id", entries.map(({ delta }) => delta.txId ?? null)],
      ["_commit_ts", entries.map(({ at }) => BigInt(at) * 1000n)],
      [
        "_columns",
        carried.map((columns) =>
          schema.columns.filter(({ name }) => columns.has(name)).map(({ name }) => name)
            .join(",") || null
        ),
      ],
    ]);
    const columns = new Map(schema.columns.map((column) => [lakeColumnName(column.name), column]));
    const columnData = scan.columns.map(({ name }): ColumnSource => {
      const column = columns.get(name);
      const data = own.get(name) ??
        carried.map((values) => column && cell(column.type, values.get(column.name)));
      return { name, data };
    });
    const elements = scan.columns.map(({ name, fieldId, type }): SchemaElement => ({
      ...ELEMENTS.get(type),
      name,
      field_id: fieldId,
      repetition_type: "OPTIONAL",
    }));
    const file = this.#files++;
    const bytes = new Uint8Array(parquetWriteBuffer({
      columnData,
      schema: [{ name: "root", num_children: elements.length }, ...elements],
    }));
    const key = `${schema.table}_changes/data/${file}.parquet`;
    unwrapOrThrow(await this.store.put(key, bytes));
    const url = await this.#place(`${schema.table} [${file}] it's.parquet`, bytes);
    const stamps = entries.map(({ delta }) => delta.hlc).sort(compareHlc);
    const ids = entries.map(({ delta }) => delta.rowId).sort(compareCodePoints);
    const times = entries.map(({ at }) => at * 1000);
    return {
      url,
      key,
      mayHave: (id) =>
        compareCodePoints(id, ids[0]!) >= 0 && compareCodePoints(id, ids.at(-1)!) <= 0,
      committed: { min: Math.min(...times), max: Math.max(...times) },
      rows: entries.length,
      bytes: bytes.byteLength,
      hlc: { min: stamps[0]!, max: stamps.at(-1)! },
    };
  }

  tables(): Promise<Result<readonly string[]>> {
    return Promise.resolve(ok([...this.#tables.keys()]));
  }

  scan(table: string, { snapshotId }: ScanOptions = {}): Promise<Result<LakeScan>> {
    this.scans.set(table, (this.scans.get(table) ?? 0) + 1);
    const found = snapshotId === undefined
      ? this.#tables.get(table)?.scan
      : this.#snapshots.get(`${table} ${snapshotId}`);
    return Promise.resolve(
      found === undefined
        ? err(new LakeSyncError("NOT_FOUND", `No lake table "${table}"`))
        : ok(found),
    );
  }
}

/** Pending deltas for tests: all of a list, whatever is asked for. */
export function pendingList(
  schemas: readonly TableSchema[],
  options: { entries: readonly FlushEntry[]; epoch?: string },
): PendingDeltas {
  const { entries, epoch = "e" } = options;
  return {
    epoch,
    schemas: () => Promise.resolve(ok(schemas)),
    async *read() {
      for (let i = 0; i < entries.length; i += 3) {
        yield await Promise.resolve(ok(entries.slice(i, i + 3)));
      }
    },
  };
}

/** A log entry in short. Its id is not looked at by an analyst. */
export function entry(
  seq: number,
  change: {
    op: DeltaOp;
    at?: number;
    hlc: string;
    table?: string;
    id?: string;
    by?: string;
    set?: ReadonlyMap<string, JsonValue>;
  },
): FlushEntry {
  const {
    op,
    hlc,
    at = 1_763_600_000_000 + seq,
    table = "t",
    id = "r",
    by = "a",
    set = new Map(),
  } = change;
  const columns = [...set].map(([column, value]) => ({ column, value }));
  const delta: Delta = { op, hlc, table, rowId: id, clientId: by, columns, deltaId: "" };
  return { seq, at, delta };
}
