import type { PgClient, PgValue, Statement } from "./postgres_driver.ts";
import { settled } from "./postgres_pools.ts";
import { storedHlc } from "./postgres_entry.ts";
import type { AppendGroup } from "./postgres_group.ts";
import type { PostgresStatements } from "./postgres_statements.ts";
import { storedText } from "./sqlite_text.ts";

/** Where a group is written. */
export interface WriteContext {
  readonly client: PgClient;
  readonly statements: PostgresStatements;
  /** The channel that other instances listen to. */
  readonly channel: string;
}

/**
 * Writes a group and commits, all in one round trip.
 *
 * @param group What was planned.
 * @param context Where it goes, within a transaction that holds the head's lock.
 * @returns Whether anything was written.
 */
export async function writeGroup(group: AppendGroup, context: WriteContext): Promise<boolean> {
  const { client, statements, channel } = context;
  const sent: Promise<unknown>[] = [];
  const send = (statement: Statement, values: readonly PgValue[]) => {
    sent.push(client.query({ ...statement, values }));
  };
  if (group.log.length > 0) send(statements.setHead, [group.seq, group.hash, group.at]);
  for (const c of group.log) {
    send(statements.insertLog, [
      c.after,
      group.at,
      plain(c.hash),
      plain(c.txLast),
      c.pusher,
      c.clientId,
      plain(c.hlc),
      plain(c.deltaId),
      c.table,
      c.rowId,
      c.json.join("\n"),
      c.effect.join("\n"),
    ]);
  }
  if (group.keys.key.length > 0) send(statements.insertKeys, [group.keys.key, group.keys.seq]);
  const rows = [...group.rows.values()];
  if (rows.length > 0) {
    send(statements.upsertRows, [
      rows.map(({ table }) => table),
      rows.map(({ rowId }) => storedText(rowId)),
      plain(rows.map(({ alive }) => alive ?? "NULL")),
      plain(rows.map(({ seq }) => seq)),
      rows.map(({ state }) => state).join("\n"),
    ]);
  }
  const clients = [...group.clients];
  if (clients.length > 0) {
    send(statements.upsertClients, [
      clients.map(([clientId]) => storedText(clientId)),
      clients.map(([, { greatest }]) => greatest === null ? null : storedHlc(greatest)),
      clients.map(([, { from }]) => from),
    ]);
  }
  const tables = [...group.tables];
  if (tables.length > 0) {
    send(statements.upsertTables, [tables.map(([name]) => name), tables.map(([, n]) => n)]);
  }
  const put = [...group.values].filter(([, value]) => value !== null);
  const removed = [...group.values].filter(([, value]) => value === null);
  if (put.length > 0) {
    send(statements.putValues, [
      put.map(([key]) => storedText(key)),
      put.map(([, value]) => storedText(value!)),
    ]);
  }
  if (removed.length > 0) {
    send(statements.deleteValues, [removed.map(([key]) => storedText(key))]);
  }
  const wrote = sent.length > 0;
  if (wrote) send(statements.notify, [channel]);
  // Where a statement before it has failed, this one rolls back, and the error is thrown below.
  send({ text: "COMMIT" }, []);
  await settled(sent);
  return wrote;
}

/** A Postgres array of what needs no quotes: numbers, hexadecimal digits, truth values. */
function plain(items: readonly (string | number | boolean)[]): string {
  return `{${items.join(",")}}`;
}
