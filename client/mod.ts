/**
 * A device's copy of the data: SQLite that works offline and syncs with a gateway.
 *
 * What the gateway told is kept apart (the *base*) from the client's own deltas; the app's tables
 * show the merge of both and can be read by any SQL. Each local write, each page and each answer is
 * one SQLite transaction.
 *
 * @module
 */
export type { Client, ClientTransaction, InsertByName, WaitOptions } from "./client.ts";
export { type ClientOptions, createClient, type SyncOptions } from "./create_client.ts";
export {
  type GetToken,
  httpTransport,
  type HttpTransportOptions,
  inProcessTransport,
  type InProcessTransportOptions,
} from "./http_transport.ts";
export type { FrameCodec } from "./_frames.ts";
export type { LiveQuery, RowChanges, SubscribeOptions } from "./live_query.ts";
export type { BuiltQuery, CompiledSql, SqlQuery } from "./sql_query.ts";
export type { ClientSocket, OpenSocket, SocketClose, SocketListener } from "./web_socket.ts";
export { webSocketTransport, type WebSocketTransportOptions } from "./web_socket_transport.ts";
export { openSqlite, type OpenSqliteOptions } from "./open_sqlite.ts";
export type { Rejected } from "./rejected.ts";
export type {
  BlockedReason,
  ClientEvents,
  ClientStatus,
  DeadLetter,
  FirstSync,
  SyncState,
  SyncSummary,
} from "./status.ts";
export type { ClientStorage } from "./storage.ts";
export type { TableClient, TableClients, TransactionTable, TransactionTables } from "./tables.ts";
