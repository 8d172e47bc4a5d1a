import {
  type Clock,
  err,
  type FlushOutcome,
  LakeSyncError,
  ok,
  type Result,
  type SqlBatch,
  type SqlDialect,
  type SqlServer,
  type SqlTransactionOptions,
  type SqlWork,
  systemClock,
  toLakeSyncError,
} from "@lakesync/core";
import { ApiClient, listOf, member, textOf } from "./_client.ts";
import { Jobs } from "./_jobs.ts";
import { insertBatch } from "./_insert.ts";
import { Overtaken, Transaction } from "./_transaction.ts";
import { bigqueryDialect } from "./dialect.ts";
import { type BigQueryOptions, type DatasetPlace, placeOf } from "./options.ts";

/** How often a transaction is run that others overtake. */
const TRIES = 10;

/**
 * A BigQuery dataset for {@linkcode https://jsr.io/@lakesync/adapter-database | sqlAdapter}. A transaction cannot read what it has written; and there are no locks, so it is
 * run again where what it locked by `FOR UPDATE`, and changes, was changed meanwhile.
 *
 * @param options Where it is, and who asks.
 * @returns The database; `VALIDATION_ERROR` where an option is wrong. It is first asked when it is used.
 *
 * @example Its name is that of the dataset
 * ```ts
 * import { bigqueryServer } from "@lakesync/adapter-bigquery";
 * import { unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const credentials = { client_email: "app@shop.iam.gserviceaccount.com", private_key: "…" };
 * const server = unwrapOrThrow(
 *   await bigqueryServer({ credentials, project: "shop", dataset: "lake" }),
 * );
 * assertEquals(server.place, "bigquery://shop/lake");
 * await server.close();
 * ```
 */
export function bigqueryServer(options: BigQueryOptions): Promise<Result<SqlServer>> {
  const place = placeOf(options);
  return Promise.resolve(place.ok ? ok(new BigQueryServer(place.value, options)) : place);
}

/** A dataset, and the way to it. */
export class BigQueryServer implements SqlServer {
  readonly place: string;
  readonly dialect: SqlDialect = bigqueryDialect;
  readonly client: ApiClient;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly #closing: AbortController = new AbortController();

  constructor(place: DatasetPlace, options: BigQueryOptions) {
    this.client = new ApiClient(place, options);
    this.jobs = new Jobs(this.client, { jobMs: options.jobMs ?? 600_000 });
    this.clock = options.clock ?? systemClock;
    this.place = this.client.name;
  }

  async transaction<T>(
    body: (work: SqlWork) => Promise<T>,
    options: SqlTransactionOptions = {},
  ): Promise<Result<T>> {
    return await this.#guard(options.signal, async (signal) => {
      for (let attempt = 1;; attempt++) {
        const { client, jobs, clock } = this;
        const transaction = new Transaction({ client, jobs, clock, signal });
        try {
          const value = await body(transaction);
          await transaction.commit();
          return value;
        } catch (thrown) {
          if (!(thrown instanceof Overtaken)) throw thrown;
          if (attempt >= TRIES) {
            throw new LakeSyncError(
              "TIMEOUT",
              `${this.place} was written to by others each time (${thrown.message}): try again`,
              { cause: thrown },
            );
          }
          await client.wait(attempt, signal);
        } finally {
          await transaction.end();
        }
      }
    });
  }

  async insertBatch(inserted: SqlBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
    return await this.#guard(
      inserted.batch.signal,
      (signal) => insertBatch({ server: this, inserted, signal }),
    );
  }

  async describe(_work: SqlWork, table: string): Promise<ReadonlyMap<string, string>> {
    const { dataset } = this.client.place;
    const path = `datasets/${dataset}/tables/${encodeURIComponent(table)}`;
    const answer = await this.client.send({ method: "GET", path });
    if (answer.status !== 200) {
      // Throws where the dataset is missing, and not only the table.
      if (answer.status === 404) {
        await this.client.ask({ method: "GET", path: `datasets/${dataset}` });
      } else throw this.client.failure(answer);
      return new Map();
    }
    const fields = listOf(member(member(answer.body, "schema"), "fields"));
    return new Map(fields.map((field) => {
      const mode = textOf(member(field, "mode")) === "REPEATED" ? "repeated " : "";
      const type = textOf(member(field, "type")) ?? "";
      return [textOf(member(field, "name")) ?? "", mode + type.toLowerCase()];
    }));
  }

  /** Runs something that ends when the server is closed; what it throws becomes the error. */
  async #guard<T>(
    signal: AbortSignal | undefined,
    body: (signal: AbortSignal) => Promise<T>,
  ): Promise<Result<T>> {
    const closing = this.#closing.signal;
    const stop = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    try {
      if (stop.aborted) throw stop.reason;
      return ok(await body(stop));
    } catch (thrown) {
      if (closing.aborted) {
        return err(new LakeSyncError("CLOSED", `Cannot use ${this.place}: it is closed`));
      }
      if (signal?.aborted === true) {
        return err(
          new LakeSyncError("ABORTED", `Stopped what ${this.place} was asked: it is rolled back`, {
            cause: signal.reason,
          }),
        );
      }
      return err(toLakeSyncError(thrown, "INTERNAL"));
    }
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }
}
