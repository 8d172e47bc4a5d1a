/** What of the driver `pg` is used here. It is loaded with the first database that is opened. */

/** A statement as the driver takes it. */
export interface PgQuery {
  readonly text: string;
  readonly values?: readonly (string | number | null)[];
  readonly rowMode?: "array";
}

/** What a statement of another kind is run on. */
export interface PgConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Uint8Array): void;
  endCopyFrom(): void;
}

/** A statement of another kind: the driver calls these. */
export interface PgSubmittable {
  submit(connection: PgConnection): void;
  handleError(error: Error): void;
  handleReadyForQuery(): void;
}

/** What a statement gives. */
export interface PgAnswer {
  readonly rows: readonly (readonly (string | null)[])[];
  /** How many rows it has written, or given. */
  readonly rowCount: number | null;
}

/** One connection. Once it is lost it stays lost, and all that is asked of it rejects. */
export interface PgClient {
  query(query: PgQuery): Promise<PgAnswer>;
  query(query: PgSubmittable): PgSubmittable;
  on(event: "error", listener: () => void): unknown;
  /** Ends it; with a statement under way it breaks off. */
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

/** The driver. */
export interface PgDriver {
  readonly Pool: new (config: { readonly [option: string]: unknown }) => PgPool;
}

/** Loads the driver. */
export async function loadDriver(): Promise<PgDriver> {
  const driver: { default: unknown } = await import("pg");
  return driver.default as PgDriver;
}
