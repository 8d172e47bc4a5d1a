import { join } from "node:path";

/** Where a gateway keeps its things. */
export interface GatewayPaths {
  /** Its log, where that is a SQLite file. */
  readonly log: string;
  /** Its lake's tables. */
  readonly lake: string;
}

/**
 * Where a gateway keeps its things below a data directory.
 *
 * @param data The data directory.
 * @param id The gateway's id.
 * @returns `DATA/gateways/ID/log.db` and `DATA/lake/ID`.
 *
 * @example The default gateway
 * ```ts
 * import { gatewayPaths } from "@lakesync/deploy";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(gatewayPaths("data", "default").lake, "data/lake/default");
 * ```
 */
export function gatewayPaths(data: string, id: string): GatewayPaths {
  return { log: join(data, "gateways", id, "log.db"), lake: join(data, "lake", id) };
}
