import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { err, LakeSyncError, type Logger, type LogStore, ok, type Result } from "@lakesync/core";
import {
  kvLogStore,
  memoryLogStore,
  openDenoKv,
  openPostgresDatabase,
  openPostgresLogStore,
  openSqliteLogStore,
} from "@lakesync/gateway";

/** Where gateways keep their logs. */
export type StoreKind = "sqlite" | "memory" | "kv" | "postgres";

/** The kinds of stores there are. */
export const STORE_KINDS: readonly StoreKind[] = ["sqlite", "memory", "kv", "postgres"];

/** Which stores {@linkcode startServer} opens. */
export interface StoreChoice {
  /** `sqlite`: a file for each gateway. `memory`: nothing is kept. `kv`: Deno KV. `postgres`. */
  kind: StoreKind;
  /**
   * Where they are: a Postgres URL; for `kv` a file's path or a URL.
   *
   * @default {undefined} for `kv` a file in the data directory
   */
  url?: string;
}

/** Opens the logs of the gateways of one process. */
export interface Stores {
  /** Opens a gateway's log. */
  open(id: string): Promise<Result<LogStore>>;
  /** Closes what they share; the logs are closed first. */
  close(): Promise<void>;
}

/** Options of {@linkcode openStores}. */
export interface OpenStoresOptions {
  /** Which. */
  readonly choice: StoreChoice;
  /** Where a gateway's SQLite file is. */
  readonly sqlitePath: (id: string) => string;
  /** Where the Deno KV file is, where the choice has no URL. */
  readonly kvPath: string;
  /** Where warnings go. */
  readonly logger: Logger;
}

/**
 * Opens what the logs of a process share.
 *
 * @param options Which stores.
 * @returns The stores; `VALIDATION_ERROR` where the choice does not fit, `STORAGE_ERROR` where the
 * database cannot be reached.
 */
export async function openStores(options: OpenStoresOptions): Promise<Result<Stores>> {
  const { choice: { kind, url }, sqlitePath, kvPath, logger } = options;
  const nothing = () => Promise.resolve();
  switch (kind) {
    case "sqlite":
      return ok({ open: (id) => openSqliteLogStore({ path: sqlitePath(id) }), close: nothing });
    case "memory":
      logger.log("warn", "store.memory", {
        message: "The logs are in memory: all of them are lost when this process ends",
      });
      return ok({ open: () => Promise.resolve(ok(memoryLogStore())), close: nothing });
    case "postgres": {
      if (url === undefined) {
        return invalid(
          "The postgres store needs a URL: set LAKESYNC_STORE_URL or --store-url to postgres://user@host/database",
        );
      }
      const database = await openPostgresDatabase({ url });
      if (!database.ok) return database;
      return ok({
        open: (id) => openPostgresLogStore({ database: database.value, schema: schemaOf(id) }),
        close: () => database.value.close(),
      });
    }
    case "kv": {
      const { Deno: runtime = {} } = globalThis as { Deno?: object };
      if (!("openKv" in runtime)) {
        return invalid(
          "The kv store needs Deno, started with --unstable-kv: take that, or another --store",
        );
      }
      const path = url ?? kvPath;
      if (!/^(https?:|:memory:$)/.test(path)) mkdirSync(dirname(path), { recursive: true });
      const kv = await openDenoKv({ path });
      if (!kv.ok) return kv;
      return ok({
        open: (id) => kvLogStore({ kv: kv.value, prefix: ["lakesync", id] }),
        close: () => Promise.resolve(kv.value.close()),
      });
    }
  }
}

/**
 * The Postgres schema of a gateway's log.
 *
 * @param id The gateway's id.
 * @returns `lakesync_ID`; where that is longer than a schema's name may be, with a hash at its end.
 */
export function schemaOf(id: string): string {
  const name = `lakesync_${id}`;
  if (name.length <= 63) return name;
  return `${name.slice(0, 46)}~${createHash("sha256").update(id).digest("hex").slice(0, 16)}`;
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
