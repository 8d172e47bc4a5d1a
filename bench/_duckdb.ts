import { DuckDBInstance, DuckDBTimestampTZValue } from "@duckdb/node-api";
import { type Delta, type JsonValue, unwrapOrThrow } from "@lakesync/core";
import { openSqliteLogStore } from "@lakesync/gateway";

const COLUMNS = `_seq BIGINT, _op VARCHAR, id VARCHAR, _hlc BIGINT, _client_id VARCHAR,
  _tx_id VARCHAR, _commit_ts TIMESTAMPTZ, _columns VARCHAR, title VARCHAR, done BOOLEAN, n BIGINT`;

/** Loads a log into a DuckDB table with the columns that the lake's changelog has. */
export async function loadChanges(log: string, path: string): Promise<void> {
  const store = unwrapOrThrow(await openSqliteLogStore({ path: log }));
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE changes (${COLUMNS})`);
  const appender = await connection.createAppender("changes");
  for (let after = 0;;) {
    const entries = unwrapOrThrow(await store.read(after, { limit: 5_000 }));
    if (entries.length === 0) break;
    for (const { seq, at, json } of entries) {
      const delta = JSON.parse(json) as Delta;
      const values = new Map<string, JsonValue>(
        delta.columns.map(({ column, value }) => [column, value]),
      );
      appender.appendBigInt(BigInt(seq));
      appender.appendVarchar(delta.op);
      appender.appendVarchar(delta.rowId);
      appender.appendBigInt(BigInt(delta.hlc));
      appender.appendVarchar(delta.clientId);
      appender.appendNull();
      appender.appendTimestampTZ(new DuckDBTimestampTZValue(BigInt(at) * 1000n));
      appender.appendVarchar([...values.keys()].join(","));
      const { title, done, n } = Object.fromEntries(values);
      if (typeof title === "string") appender.appendVarchar(title);
      else appender.appendNull();
      if (typeof done === "boolean") appender.appendBoolean(done);
      else appender.appendNull();
      if (typeof n === "number") appender.appendBigInt(BigInt(n));
      else appender.appendNull();
      appender.endRow();
    }
    after = entries.at(-1)!.seq;
  }
  appender.closeSync();
  connection.closeSync();
  instance.closeSync();
  await store.close();
}
