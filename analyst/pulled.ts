import type { Delta, LakeSyncError, Result, TableSchema } from "@lakesync/core";
import { err, ok } from "@lakesync/core";
import { GatewayRequests } from "./_gateway_requests.ts";
import { Pulling } from "./_pulling.ts";

/**
 * What a gateway has accepted and the lake may not have, as the gateway's pulls tell it. A query begins
 * with `begin`, then the lake is looked at, then `read` gives what came up to that moment.
 */
export interface PulledDeltas {
  /** Sees to it that what is not pulled is in the lake. */
  begin(options?: { signal?: AbortSignal }): Promise<Result<PulledReading>>;
}

/** The pulled deltas of one query. */
export interface PulledReading {
  /** The schemas of today. */
  readonly schemas: readonly TableSchema[];
  /** Pulls up to the head. It may give what the lake has, too. */
  read(options?: { signal?: AbortSignal }): Promise<Result<PulledChanges>>;
}

/** What was pulled. */
export interface PulledChanges {
  /** The deltas, in the order of the log, with those columns that won. */
  readonly deltas: readonly Delta[];
  /**
   * By table, the rows that are deleted, and when by the gateway's clock a pull told so, in ms: it does
   * not tell by whom and with which stamp.
   */
  readonly deleted: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** Options of {@linkcode pullFromGateway}. */
export interface PullFromGatewayOptions {
  /** The gateway's URL, without `/v1`. */
  readonly url: string | URL;
  /** The token's `sub`, percent-encoded, alone or followed by ":" and a name. */
  readonly clientId: string;
  /**
   * Which gateway.
   *
   * @default {"default"}
   */
  readonly gateway?: string;
  /**
   * Gives each request its token, one of an admin.
   *
   * @default {undefined} none
   */
  readonly getToken?: () => string | Promise<string>;
  /**
   * The most deltas that are kept in memory: beyond them the gateway flushes and pulling begins anew.
   *
   * @default {100_000}
   */
  readonly maxDeltas?: number;
  /**
   * Does the requests.
   *
   * @default {fetch}
   */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** What is mended by a flush and a new cursor. */
const BEGIN_ANEW: ReadonlySet<string> = new Set(["CHECKPOINT_REQUIRED", "PAYLOAD_TOO_LARGE"]);

/**
 * The deltas of a gateway that is asked over HTTP, in a page or anywhere: at first it flushes once, so
 * that the lake has what came before; from then on each query pulls what is new.
 *
 * Rows are as the gateway has them at the time of the query. What the rules hide from the token shows
 * as the lake has it. Of what the lake does not have yet, `_seq` and `_commit_ts` are NULL; a deletion has no
 * author either and counts from the row's last known change until the lake has it or what came after,
 * and `asOf` leaves it out. Offline, queries see what was pulled before.
 *
 * @param options Which gateway, and as whom.
 * @returns The deltas. `FORBIDDEN` where the token is no admin's, `BACKPRESSURE` where the flush
 * to the destination `lake` (to all, where none has that name) does not come about in time.
 * @throws {TypeError} Where the URL is none.
 *
 * @example Rows that are not flushed yet
 * ```ts ignore
 * import { openBrowserAnalyst, pullFromGateway } from "@lakesync/analyst/browser";
 *
 * const pulled = pullFromGateway({ url: location.origin, clientId: "ann:analyst", getToken });
 * const analyst = await openBrowserAnalyst({ lake, store, worker, wasm, pulled });
 * ```
 */
export function pullFromGateway(options: PullFromGatewayOptions): PulledDeltas {
  const { maxDeltas = 100_000 } = options;
  const requests = new GatewayRequests(options);
  let present: Pulling | undefined;
  let opening: Promise<Result<Pulling>> | undefined;

  const open = async (): Promise<Result<Pulling>> => {
    const opened = await Pulling.open(requests, { maxDeltas });
    if (opened.ok) present = opened.value;
    return opened;
  };
  return {
    async begin({ signal } = {}) {
      if (present !== undefined) {
        const pulled = await present.pull(signal);
        if (pulled.ok || isOffline(pulled.error)) return ok(readingOf(present));
        if (!BEGIN_ANEW.has(pulled.error.code)) return pulled;
      }
      // One flush is for all queries that wait for it.
      opening ??= open().finally(() => opening = undefined);
      const opened = await opening;
      if (opened.ok) return ok(readingOf(opened.value));
      return isOffline(opened.error) ? ok(NOTHING) : opened;
    },
  };
}

/** Each query has its own, so that one which begins anew takes nothing from another. */
function readingOf(pulling: Pulling): PulledReading {
  return {
    schemas: pulling.schemas,
    async read({ signal } = {}) {
      const pulled = await pulling.pull(signal);
      return pulled.ok || isOffline(pulled.error) ? ok(pulling.changes()) : err(pulled.error);
    },
  };
}

const NOTHING: PulledReading = {
  schemas: [],
  read: () => Promise.resolve(ok({ deltas: [], deleted: new Map() })),
};

function isOffline(error: LakeSyncError): boolean {
  return error.code === "OFFLINE";
}
