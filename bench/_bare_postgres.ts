/** What of the driver is used here. */
interface Client {
  connect(): Promise<unknown>;
  on(event: "error", listener: () => void): unknown;
  query(query: { name?: string; text: string; values?: readonly unknown[] }): Promise<unknown>;
  end(): Promise<void>;
}

/** What a Postgres table costs with nothing around it: `(seq, payload)`, a durable commit a batch. */
export class BarePostgres {
  readonly #client: Client;
  #seq = 0;

  private constructor(client: Client) {
    this.#client = client;
  }

  /** Makes the table. */
  static async open(url: string): Promise<BarePostgres> {
    const { default: pg }: { default: unknown } = await import("pg");
    const { Client } = pg as { Client: new (url: string) => Client };
    const client = new Client(url);
    // A connection that is lost fails what is asked of it; unheard, it would end the process.
    client.on("error", () => {});
    await client.connect();
    await client.query({
      text: "CREATE TABLE bare (seq bigint PRIMARY KEY, payload text NOT NULL)",
    });
    return new BarePostgres(client);
  }

  /** Appends some payloads in one statement, which is one transaction. */
  async append(payloads: readonly string[]): Promise<void> {
    await this.#client.query({
      name: "append",
      text: `INSERT INTO bare
        SELECT $1::bigint + i, payload FROM unnest($2::text[]) WITH ORDINALITY AS p (payload, i)`,
      values: [this.#seq, payloads],
    });
    this.#seq += payloads.length;
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    await this.#client.end();
  }
}
