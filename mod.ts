/**
 * LakeSync: declare what data goes where; the engine handles the rest. This is the front door: what
 * most apps need. Lakes, analysts and servers have packages of their own.
 *
 * @module
 */
export * from "@lakesync/core";
export * from "@lakesync/client";
export {
  createGateway,
  createHandler,
  Gateway,
  memoryLogStore,
  openSqliteLogStore,
} from "@lakesync/gateway";
export type { GatewayOptions, Handler, HandlerOptions } from "@lakesync/gateway";
