import type { Logger } from "@lakesync/core";

/** What somebody did with a gateway that only admins may do, or tried to. */
export interface AdminAction {
  /** The request's id. */
  readonly requestId: string;
  /** Who: the subject of a valid token; undefined where there was none. */
  readonly sub: string | undefined;
  /** The gateway that the path names. */
  readonly gateway: string;
  /** The method and the route: `PUT /v1/admin/:gw/rules`. */
  readonly action: string;
  /** `ok`, or the code of the error that it was refused or failed with. */
  readonly outcome: string;
}

/** Ids of gateways are shorter: what is longer names none, and would only fill the log. */
const MAX_ID = 64;

/**
 * Writes one line to the record of what admins change, the event `audit`: refused tries too.
 *
 * @param logger Where to.
 * @param action What was done.
 */
export function audit(logger: Logger, action: AdminAction): void {
  logger.log("info", "audit", { ...action, gateway: action.gateway.slice(0, MAX_ID) });
}
