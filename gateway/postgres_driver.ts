/**
 * What of the driver `pg` is used here. It is loaded with the first database that is opened: most
 * gateways never need it.
 */

/** A statement that the server prepares once for each connection. */
export interface Statement {
  /** Names it; another text has another name. */
  readonly name?: string;
  /** Its SQL, with `$1`, `$2` … */
  readonly text: string;
}

/** What statements take. Lists are Postgres arrays. */
export type PgValue = string | number | boolean | null | readonly (string | number | null)[];

/** A row of a result. Every value comes as the text that Postgres has for it. */
export type PgRow = { readonly [column: string]: string | null };

/** One connection. Once it is lost it stays lost, and all that is asked of it rejects. */
export interface PgClient {
  connect(): Promise<unknown>;
  query(
    query: Statement & { readonly values?: readonly PgValue[] },
  ): Promise<{ readonly rows: readonly PgRow[]; readonly rowCount: number | null }>;
  on(event: "error" | "end", listener: () => void): unknown;
  on(event: "notification", listener: (message: { readonly channel: string }) => void): unknown;
  end(): Promise<void>;
}

/** A connection of a pool. */
export interface PooledClient extends PgClient {
  /** Gives it back, or closes it. */
  release(destroy?: boolean): void;
}

/** Some connections. */
export interface PgPool {
  connect(): Promise<PooledClient>;
  on(event: "error", listener: () => void): unknown;
  on(event: "connect", listener: (client: PgClient) => void): unknown;
  end(): Promise<void>;
}

/** How connections are made. */
export interface PgConfig {
  readonly connectionString: string;
  readonly [option: string]: unknown;
}

/** The driver. */
export interface PgDriver {
  readonly Client: new (config: PgConfig) => PgClient;
  readonly Pool: new (config: PgConfig) => PgPool;
}

/** Loads the driver. */
export async function loadDriver(): Promise<PgDriver> {
  const driver: { default: unknown } = await import("pg");
  return driver.default as PgDriver;
}
