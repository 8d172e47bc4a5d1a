import { type JsonValue, LakeSyncError, type SqlResultRow } from "@lakesync/core";
import { ApiClient, listOf, member, textOf } from "./_client.ts";
import { type Fault, faultError, isPassing } from "./_error.ts";
import type { BigQueryQuery } from "./_query.ts";
import { resultRow } from "./_rows.ts";

/** Options of what waits. */
export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What became of a job. */
export interface JobOutcome {
  /** Why it failed; undefined where it did what it should. */
  readonly fault: Fault | undefined;
  /** Whether it was there before: its id was used by an earlier call. */
  readonly found: boolean;
}

const FIRST_POLL_MS = 50;
const MOST_POLL_MS = 2_000;
/** How long the server holds a request for a query's result. */
const HOLD_MS = 10_000;

/** Runs jobs. */
export class Jobs {
  readonly #client: ApiClient;
  readonly #jobMs: number;
  #location: string | undefined;

  constructor(client: ApiClient, options: { jobMs: number }) {
    this.#client = client;
    this.#jobMs = options.jobMs;
  }

  /** A job's id that nobody has used. */
  newId(): string {
    return `lakesync_${this.#client.random.uuid()}`;
  }

  /** Where the dataset's jobs run. Throws where there is no dataset. */
  async location(options: WaitOptions = {}): Promise<string> {
    if (this.#location !== undefined) return this.#location;
    const { dataset } = this.#client.place;
    const found = await this.#client.ask({
      method: "GET",
      path: `datasets/${dataset}`,
      ...options,
    });
    return this.#location = textOf(member(found, "location")) ?? "US";
  }

  /** The rows of a SELECT, page by page. */
  async *select(
    query: BigQueryQuery,
    options: WaitOptions = {},
  ): AsyncGenerator<readonly SqlResultRow[]> {
    const location = await this.location(options);
    const { dataset, project } = this.#client.place;
    let answer = await this.#client.ask({
      method: "POST",
      path: "queries",
      body: {
        ...this.#sql(query),
        defaultDataset: { projectId: project, datasetId: dataset },
        location,
        timeoutMs: HOLD_MS,
        formatOptions: { useInt64Timestamp: true },
      },
      ...options,
    });
    const jobId = textOf(member(member(answer, "jobReference"), "jobId"));
    let waited = 0;
    for (let page = ""; page !== undefined;) {
      while (member(answer, "jobComplete") !== true) {
        waited += await this.#poll(waited, jobId, options);
        answer = await this.#results(jobId, { page, location, ...options });
      }
      const fields = listOf(member(member(answer, "schema"), "fields"));
      yield listOf(member(answer, "rows")).map((row) => resultRow(row, fields));
      const next = textOf(member(answer, "pageToken"));
      if (next === undefined) return;
      page = next;
      answer = await this.#results(jobId, { page, location, ...options });
    }
  }

  /** All rows of a SELECT. */
  async rows(query: BigQueryQuery, options: WaitOptions = {}): Promise<SqlResultRow[]> {
    const rows: SqlResultRow[] = [];
    for await (const page of this.select(query, options)) rows.push(...page);
    return rows;
  }

  /** Runs statements that change something, again where they fail for what passes. */
  async execute(query: BigQueryQuery, options: WaitOptions = {}): Promise<void> {
    for (let attempt = 1;; attempt++) {
      const { fault } = await this.run(query, { id: this.newId(), ...options });
      if (fault === undefined) return;
      if (attempt >= this.#client.attempts || !isPassing(fault)) throw this.error(fault);
      await this.#client.wait(attempt, options.signal);
    }
  }

  /** Runs statements as a job of this id, or finds what became of the one that has it. */
  async run(
    query: BigQueryQuery,
    options: WaitOptions & { readonly id: string },
  ): Promise<JobOutcome> {
    const { id, signal } = options;
    const { dataset, project } = this.#client.place;
    const answer = await this.#client.send({
      method: "POST",
      path: "jobs",
      body: {
        jobReference: { projectId: project, jobId: id, location: await this.location(options) },
        configuration: {
          query: {
            ...this.#sql(query),
            defaultDataset: { projectId: project, datasetId: dataset },
          },
        },
      },
      signal,
    });
    // It is there: an earlier call made it, or this one, whose answer was lost.
    const found = answer.status === 409;
    if (!found && answer.status !== 200) throw this.#client.failure(answer);
    return { fault: await this.wait(id, { signal }), found };
  }

  /** Waits for a job's end. What is stopped is cancelled. */
  async wait(id: string, options: WaitOptions): Promise<Fault | undefined> {
    const { signal } = options;
    const location = await this.location(options);
    for (let waited = 0;;) {
      let job: JsonValue | undefined;
      try {
        job = await this.#client.ask({
          method: "GET",
          path: `jobs/${id}`,
          query: { location },
          signal,
        });
      } catch (thrown) {
        if (signal?.aborted === true) await this.#cancel(id, location);
        throw thrown;
      }
      const status = member(job, "status");
      if (member(status, "state") === "DONE") {
        const fault = member(status, "errorResult");
        return fault === undefined ? undefined : {
          reason: textOf(member(fault, "reason")) ?? "",
          message: textOf(member(fault, "message")) ?? "",
        };
      }
      waited += await this.#poll(waited, id, options);
    }
  }

  /** The error of a job that failed. */
  error(fault: Fault): LakeSyncError {
    return faultError(fault, { place: this.#client.name });
  }

  #sql({ query, queryParameters }: BigQueryQuery): { [name: string]: JsonValue } {
    const parameters = { parameterMode: "NAMED", queryParameters };
    return { query, useLegacySql: false, ...(queryParameters.length > 0 && parameters) };
  }

  async #results(
    jobId: string | undefined,
    options: WaitOptions & { readonly page: string; readonly location: string },
  ): Promise<JsonValue | undefined> {
    const { page, location, signal } = options;
    return await this.#client.ask({
      method: "GET",
      path: `queries/${jobId}`,
      query: {
        location,
        timeoutMs: String(HOLD_MS),
        "formatOptions.useInt64Timestamp": "true",
        ...(page !== "" && { pageToken: page }),
      },
      signal,
    });
  }

  /** Waits before a job is looked at again, longer each time; gives how long, or throws where it took too long. */
  async #poll(waited: number, id: string | undefined, options: WaitOptions): Promise<number> {
    if (waited >= this.#jobMs) {
      throw new LakeSyncError(
        "TIMEOUT",
        `${this.#client.name} has not ended the job ${id} in ${this.#jobMs} ms: look at it in the project's history, or allow more time by jobMs`,
      );
    }
    const ms = Math.min(FIRST_POLL_MS + waited / 4, MOST_POLL_MS);
    await this.#client.delay(ms, options.signal);
    return ms;
  }

  async #cancel(id: string, location: string): Promise<void> {
    // Nothing depends on it: what it did is found from the watermarks.
    await this.#client.send({
      method: "POST",
      path: `jobs/${id}/cancel`,
      query: { location },
      once: true,
    });
  }
}
