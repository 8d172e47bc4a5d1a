import {
  consumeFlushJobs,
  databaseDestination,
  type JobPlace,
  objectStoreJobs,
  sqlAdapter,
  storedJobs,
} from "@lakesync/adapter-database";
import {
  type BigQueryOptions as BigQueryServerOptions,
  bigqueryServer,
} from "@lakesync/adapter-bigquery";
import { mysqlServer, type MysqlServerOptions } from "@lakesync/adapter-mysql";
import { postgresServer, type PostgresServerOptions } from "@lakesync/adapter-postgres";
import {
  type Destination,
  err,
  isIdentifier,
  LakeSyncError,
  type Logger,
  type LogStore,
  type ObjectStore,
  ok,
  type Result,
  type SqlServer,
} from "@lakesync/core";

/** What a destination is made for. */
export interface DestinationContext {
  /** Its name in the configuration. */
  readonly name: string;
  /** The gateway's id. */
  readonly gateway: string;
  /** The gateway's log store, for what has to outlive the process. */
  readonly store: Pick<LogStore, "getValue" | "setValue" | "append">;
  /** Where log lines go. */
  readonly logger: Logger;
}

/** A destination that a server has opened. */
export interface OpenDestination extends Destination {
  /** Resolves when what runs behind flushes is done. */
  idle?(): Promise<void>;
  /**
   * Does what was left for another process to do behind flushes, until the signal: what
   * `deploy/materialise.ts` runs.
   */
  work?(options: { signal: AbortSignal; everyMs: number; leaseMs: number }): Promise<void>;
  /** Ends it. */
  close?(): Promise<void>;
}

/** Makes a gateway's destination: what `destinations` of a `lakesync.config.ts` consists of. */
export type DestinationFactory = (
  context: DestinationContext,
) => Promise<Result<OpenDestination>>;

/** What is kept in a database. */
export interface DatabaseChoice {
  /**
   * Keep tables for people to query, one for each table of the gateway: in the server's process, or
   * with `jobs` in another one, which takes what is to be done from that object store
   * (docs/flows.md, *Tables for people*).
   *
   * @default {false}
   */
  readonly materialise?: boolean | { readonly jobs: ObjectStore };
}

/** Options of {@linkcode postgres}. */
export type PostgresOptions = PostgresServerOptions & DatabaseChoice;

/** Options of {@linkcode mysql}. */
export type MysqlOptions = MysqlServerOptions & DatabaseChoice;

/** Options of {@linkcode bigquery}. */
export type BigQueryOptions = BigQueryServerOptions & DatabaseChoice;

/**
 * A Postgres database that every flush goes to. Several gateways need a schema each: by default
 * that of the gateway `default` is `public`, that of any other has the gateway's id.
 *
 * @param options Where it is, and whether tables for people are kept in it.
 * @returns What a configuration takes.
 *
 * @example In a lakesync.config.ts
 * ```ts
 * import { defineTable, string } from "@lakesync/core";
 * import { defineLake, postgres } from "@lakesync/deploy";
 *
 * export default defineLake({
 *   tables: [defineTable("todos", { title: string() })],
 *   destinations: { pg: postgres({ url: "postgres://app@127.0.0.1/shop", materialise: true }) },
 * });
 * ```
 */
export function postgres(options: PostgresOptions): DestinationFactory {
  const { materialise = false, ...server } = options;
  return async (context) => {
    const schema = server.schema ?? (context.gateway === "default" ? "public" : context.gateway);
    return await open(await postgresServer({ ...server, schema }), { ...context, materialise });
  };
}

/**
 * A MySQL or MariaDB database that every flush goes to. Several gateways need a database each:
 * `{gateway}` in the URL stands for the gateway's id.
 *
 * @param options Where it is, and whether tables for people are kept in it.
 * @returns What a configuration takes.
 *
 * @example In a lakesync.config.ts
 * ```ts
 * import { defineTable, string } from "@lakesync/core";
 * import { defineLake, mysql } from "@lakesync/deploy";
 *
 * export default defineLake({
 *   tables: [defineTable("todos", { title: string() })],
 *   destinations: { maria: mysql({ url: "mysql://app@127.0.0.1/shop", materialise: true }) },
 * });
 * ```
 */
export function mysql(options: MysqlOptions): DestinationFactory {
  const { materialise = false, ...server } = options;
  return async (context) => {
    const url = server.url.replaceAll("{gateway}", encodeURIComponent(context.gateway));
    return await open(await mysqlServer({ ...server, url }), { ...context, materialise });
  };
}

/**
 * A BigQuery dataset that every flush goes to. Several gateways need a dataset each: `{gateway}` in
 * its name stands for the gateway's id, in which what is no letter or digit is `_` and its code.
 *
 * @param options Where it is, who asks, and whether tables for people are kept in it.
 * @returns What a configuration takes.
 *
 * @example In a lakesync.config.ts
 * ```ts
 * import { defineTable, string } from "@lakesync/core";
 * import { bigquery, defineLake } from "@lakesync/deploy";
 *
 * const credentials = JSON.parse(
 *   '{ "client_email": "lakesync@shop.iam.gserviceaccount.com", "private_key": "-----BEGIN …" }',
 * );
 * export default defineLake({
 *   tables: [defineTable("todos", { title: string() })],
 *   destinations: {
 *     bq: bigquery({ credentials, project: "shop", dataset: "lake", materialise: true }),
 *   },
 * });
 * ```
 */
export function bigquery(options: BigQueryOptions): DestinationFactory {
  const { materialise = false, ...server } = options;
  return async (context) => {
    const id = context.gateway.replace(
      /[^A-Za-z0-9]/g,
      (char) => `_${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
    );
    const dataset = server.dataset.replaceAll("{gateway}", id);
    return await open(await bigqueryServer({ ...server, dataset }), { ...context, materialise });
  };
}

async function open(
  server: Result<SqlServer>,
  options: DestinationContext & { readonly materialise: boolean | { readonly jobs: ObjectStore } },
): Promise<Result<OpenDestination>> {
  const { name, store, logger, materialise } = options;
  if (!server.ok) {
    const { code, message } = server.error;
    return err(new LakeSyncError(code, `destinations.${name}: ${message}`));
  }
  const adapter = sqlAdapter({ server: server.value, name });
  if (typeof materialise === "object") {
    // An id may have a "~", a key may not.
    const prefix = `${options.gateway.replaceAll("~", "%7E")}/${name}`;
    const place: JobPlace = { store: materialise.jobs, prefix };
    const destination = databaseDestination(adapter, {
      materialise: objectStoreJobs({ ...place, logger }),
    });
    await destination.resume();
    return ok({
      ...destination,
      work: (until) => consumeFlushJobs({ ...place, with: adapter, logger, ...until }),
    });
  }
  const jobs = storedJobs(store, { key: `materialise:${name}` });
  const destination = databaseDestination(
    adapter,
    materialise ? { materialise: { with: adapter, jobs, logger } } : {},
  );
  await destination.resume();
  return ok(destination);
}

/** Makes all destinations of a gateway; where one fails, those before it are closed again. */
export async function openDestinations(
  factories: Destinations,
  context: Omit<DestinationContext, "name">,
): Promise<Result<OpenDestination[]>> {
  const opened: OpenDestination[] = [];
  for (const [name, factory] of Object.entries(factories)) {
    const destination = await factory({ ...context, name });
    if (!destination.ok) {
      for (const { close } of opened) await close?.();
      return destination;
    }
    opened.push(destination.value);
  }
  return ok(opened);
}

/** Destinations by name. */
export type Destinations = { readonly [name: string]: DestinationFactory };

/** Reads `destinations` of a configuration. */
export function parseDestinations(value: unknown): Result<Destinations> {
  const invalid = (message: string) => err(new LakeSyncError("VALIDATION_ERROR", message));
  if (value === undefined) return ok({});
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid("destinations is not an object of names and destinations");
  }
  for (const [name, factory] of Object.entries(value)) {
    if (!isIdentifier(name)) return invalid(`destinations: "${name}" is no identifier`);
    if (name === "lake") return invalid("destinations.lake: that is the lake's name, take another");
    if (typeof factory !== "function") {
      return invalid(
        `destinations.${name} is no destination, make it with postgres(), mysql(), bigquery() or iceberg()`,
      );
    }
  }
  return ok(value as Destinations);
}
