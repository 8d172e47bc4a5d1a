import { Buffer } from "node:buffer";
import type { DuckDBValue } from "@duckdb/node-api";
import type { Engine, Parameter, Rows } from "./engine.ts";
import { ApiFault } from "./fault.ts";
import { loadLines } from "./load.ts";
import { apiType, runScript } from "./statements.ts";

/** A job as the API's answers are made from it. */
export interface Job {
  readonly id: string;
  state: "PENDING" | "RUNNING" | "DONE";
  fault: ApiFault | undefined;
  rows: Rows | undefined;
  /** How often it is still looked at before it is seen to be done. */
  polls: number;
  /** Whether it waits for leave to begin. */
  held: boolean;
  /** Resolves when it is done. */
  readonly done: Promise<void>;
}

/** What a job does. */
export type Work =
  | { readonly query: string; readonly parameters: ReadonlyMap<string, Parameter> }
  | { readonly table: string; readonly data: Buffer };

/** How a job goes wrong. */
export interface JobTrouble {
  /** It fails for this reason and does nothing. */
  readonly fails?: string;
  /** It is looked at so often before it is done. */
  readonly polls?: number;
  /** It begins when this has resolved. */
  readonly after?: Promise<void>;
}

/** The jobs of a project. */
export class JobList {
  readonly #engine: Engine;
  readonly #jobs: Map<string, Job> = new Map();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Whether there is a job of this id. */
  has(id: string): boolean {
    return this.#jobs.has(id);
  }

  /** A job by its id. */
  get(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new ApiFault(404, "notFound", `Not found: Job ${id}`);
    return job;
  }

  /** Throws where an id is none, or was used. */
  checkId(id: string): void {
    if (!/^[A-Za-z0-9_-]{1,1024}$/.test(id)) {
      throw new ApiFault(400, "invalid", `Invalid job ID "${id}"`);
    }
    if (this.#jobs.has(id)) throw new ApiFault(409, "duplicate", `Already Exists: Job ${id}`);
  }

  /** Starts a job, which goes on whether anybody waits for it or not. */
  start(id: string, work: Work, trouble: JobTrouble = {}): Job {
    this.checkId(id);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const { polls = 0 } = trouble;
    const job: Job = {
      id,
      state: "PENDING",
      fault: undefined,
      rows: undefined,
      polls,
      held: trouble.after !== undefined,
      done,
    };
    this.#jobs.set(id, job);
    void this.#run(job, work, trouble).then(resolve);
    return job;
  }

  async #run(job: Job, work: Work, { fails, after }: JobTrouble): Promise<void> {
    await after;
    job.held = false;
    job.state = "RUNNING";
    const session = await this.#engine.connect();
    try {
      if (fails !== undefined) throw new ApiFault(400, fails, `The job failed: ${fails}`);
      if ("query" in work) job.rows = await runScript(session, work.query, work.parameters);
      else await loadLines(session, work);
    } catch (thrown) {
      job.fault = thrown instanceof ApiFault
        ? thrown
        : new ApiFault(500, "internalError", String(thrown));
    } finally {
      await session.close();
      job.state = "DONE";
    }
  }
}

/** A page of a result as the API has it. */
export function resultPage(
  rows: Rows,
  options: { readonly start: number; readonly maxBytes: number },
): { schema: unknown; rows: unknown[]; totalRows: string; pageToken?: string } {
  const { start, maxBytes } = options;
  const fields = rows.names.map((name, i) => ({
    name,
    type: apiType(rows.types[i]!),
    mode: "NULLABLE",
  }));
  const page: unknown[] = [];
  let bytes = 0;
  let at = start;
  for (; at < rows.rows.length && (bytes < maxBytes || at === start); at++) {
    const cells = rows.rows[at]!.map((value) => ({ v: cellOf(value) }));
    for (const { v } of cells) bytes += (v?.length ?? 0) + 10;
    page.push({ f: cells });
  }
  return {
    schema: { fields },
    rows: page,
    totalRows: String(rows.rows.length),
    ...(at < rows.rows.length && { pageToken: String(at) }),
  };
}

/** A value as the text that the API has for it. */
function cellOf(value: DuckDBValue): string | null {
  if (value === null) return null;
  if (typeof value === "object" && "micros" in value) return String(value.micros);
  if (typeof value === "object" && "bytes" in value) {
    return Buffer.from(value.bytes).toString("base64");
  }
  // A NUMERIC is told without zeros at its end.
  if (typeof value === "object" && "scale" in value) return String(value).replace(/\.?0+$/, "");
  return String(value);
}
