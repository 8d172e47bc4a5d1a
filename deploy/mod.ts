/**
 * What one starts: gateways over embedded parts, served over HTTP on Deno or Bun.
 *
 * @module
 */
export { defineLake, type LakeConfig, loadConfig, type LoadedConfig } from "./config.ts";
export { type Fetch, listen, type Listener, type ListenOptions } from "./listen.ts";
export { jsonLogger, type JsonLoggerOptions } from "./logger.ts";
export {
  type GatewayPaths,
  gatewayPaths,
  type RunningServer,
  type ServerOptions,
  startServer,
} from "./server.ts";
