import { Buffer } from "node:buffer";
import { type DuckDBAppender, DuckDBTimestampTZValue } from "@duckdb/node-api";
import type { Field, Session } from "./engine.ts";
import { ApiFault } from "./fault.ts";

/** https://cloud.google.com/bigquery/quotas#load_jobs */
const MAX_ROW = 100 * 1024 * 1024;
const MAX_LOADS_A_DAY = 1_500;

/** Loads lines of JSON into a table, all of them or none. */
export async function loadLines(
  session: Session,
  options: { readonly table: string; readonly data: Buffer },
): Promise<void> {
  const { table: name, data } = options;
  const { engine, connection } = session;
  const table = engine.table(name);
  if (++table.loads > MAX_LOADS_A_DAY) {
    throw new ApiFault(403, "quotaExceeded", `Quota exceeded: too many imports for table ${name}`);
  }
  const { rows: [[count] = []] } = await session.run(`SELECT COUNT(*) FROM "${name}"`, new Map());
  // WRITE_EMPTY.
  if (count !== 0n) throw new ApiFault(409, "duplicate", `Already Exists: Table ${name}`);
  await connection.run("BEGIN TRANSACTION");
  try {
    const appender = await connection.createAppender(name);
    for (let start = 0; start < data.length;) {
      const newline = data.indexOf(10, start);
      const end = newline < 0 ? data.length : newline;
      if (end - start > MAX_ROW) throw invalid(`Row size is larger than: ${MAX_ROW}.`);
      appendRow(appender, table.fields, rowOf(data.toString("utf8", start, end)));
      start = end + 1;
    }
    appender.closeSync();
    await connection.run("COMMIT");
  } catch (thrown) {
    await connection.run("ROLLBACK").catch(() => {});
    throw thrown;
  }
}

function invalid(message: string): ApiFault {
  return new ApiFault(400, "invalid", `Error while reading data, error message: ${message}`);
}

function rowOf(line: string): Map<string, unknown> {
  try {
    return new Map(Object.entries(JSON.parse(line) as object));
  } catch {
    throw invalid("JSON parsing error in row");
  }
}

function appendRow(
  appender: DuckDBAppender,
  fields: readonly Field[],
  row: Map<string, unknown>,
): void {
  for (const { name, type, mode } of fields) {
    const value = row.get(name) ?? null;
    row.delete(name);
    if (value === null) {
      if (mode === "REQUIRED") throw invalid(`Missing required field: ${name}.`);
      appender.appendNull();
    } else append(appender, { name, type, value });
  }
  const [stranger] = row.keys();
  if (stranger !== undefined) throw invalid(`No such field: ${stranger}.`);
  appender.endRow();
}

function append(
  appender: DuckDBAppender,
  { name, type, value }: { name: string; type: string; value: unknown },
): void {
  const refuse = () => invalid(`Could not convert value to ${type.toLowerCase()}. Field: ${name}`);
  switch (type) {
    case "STRING":
      if (typeof value !== "string" || value.includes("\0")) throw refuse();
      return appender.appendVarchar(value);
    case "INTEGER": {
      if (!/^-?\d+$/.test(String(value))) throw refuse();
      const integer = BigInt(String(value));
      if (BigInt.asIntN(64, integer) !== integer) throw refuse();
      return appender.appendBigInt(integer);
    }
    case "FLOAT":
      if (typeof value !== "number") throw refuse();
      return appender.appendDouble(value);
    case "BOOLEAN":
      if (typeof value !== "boolean") throw refuse();
      return appender.appendBoolean(value);
    case "TIMESTAMP":
      return appender.appendTimestampTZ(
        new DuckDBTimestampTZValue(microsOf(String(value), refuse)),
      );
    case "BYTES": {
      const bytes = Buffer.from(String(value), "base64");
      if (bytes.toString("base64") !== value) throw refuse();
      return appender.appendBlob(bytes);
    }
    default:
      throw refuse();
  }
}

function microsOf(text: string, refuse: () => ApiFault): bigint {
  const parts = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)\.(\d{6})Z$/.exec(text);
  const ms = parts === null ? NaN : Date.parse(`${parts[1]}T${parts[2]}Z`);
  // From 0001-01-01 on.
  if (parts === null || Number.isNaN(ms) || ms < -62_135_596_800_000) throw refuse();
  return BigInt(ms) * 1000n + BigInt(parts[3]!);
}
