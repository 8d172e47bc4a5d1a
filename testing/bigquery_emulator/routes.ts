import type { Buffer } from "node:buffer";
import type { TokenIssuer } from "./auth.ts";
import { columnsText, type Engine, type Field, type Parameter } from "./engine.ts";
import { ApiFault } from "./fault.ts";
import { type Job, type JobList, type JobTrouble, resultPage } from "./jobs.ts";
import { quote, TYPES } from "./translate.ts";
import { Uploads } from "./uploads.ts";

/** A request, read whole. */
export interface ApiRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** An answer. */
export interface ApiResponse {
  readonly status: number;
  readonly headers?: { readonly [name: string]: string };
  readonly body?: unknown;
}

/** A dataset. */
export interface Dataset {
  readonly engine: Engine;
  readonly jobs: JobList;
}

/** The parts of bodies that are looked at. */
export interface JobBody {
  readonly jobReference?: {
    readonly projectId?: string;
    readonly jobId?: string;
    readonly location?: string;
  };
  readonly configuration?: {
    readonly query?: QueryBody;
    readonly load?: {
      readonly destinationTable?: { readonly datasetId: string; readonly tableId: string };
      readonly sourceFormat?: string;
      readonly createDisposition?: string;
      readonly writeDisposition?: string;
    };
  };
}
interface QueryBody {
  readonly query?: string;
  readonly useLegacySql?: boolean;
  readonly parameterMode?: string;
  readonly queryParameters?: readonly {
    readonly name?: string;
    readonly parameterType: {
      readonly type: string;
      readonly arrayType?: { readonly type: string };
    };
    readonly parameterValue: {
      readonly value?: string | null;
      readonly arrayValues?: readonly { readonly value: string }[];
    };
  }[];
  readonly defaultDataset?: { readonly datasetId?: string };
  readonly formatOptions?: { readonly useInt64Timestamp?: boolean };
}

const LOCATION = "EU";
const ROUTES: readonly (readonly [name: string, method: string, path: RegExp])[] = [
  ["token", "POST", /^\/token$/],
  ["upload.begin", "POST", /^\/upload\/bigquery\/v2\/projects\/[^/]+\/jobs$/],
  ["upload.put", "PUT", /^\/upload\/bigquery\/v2\/projects\/[^/]+\/jobs$/],
  ["datasets.get", "GET", /^\/bigquery\/v2\/projects\/[^/]+\/datasets\/([^/]+)$/],
  ["tables.insert", "POST", /^\/bigquery\/v2\/projects\/[^/]+\/datasets\/([^/]+)\/tables$/],
  ["tables.get", "GET", /^\/bigquery\/v2\/projects\/[^/]+\/datasets\/([^/]+)\/tables\/([^/]+)$/],
  [
    "tables.delete",
    "DELETE",
    /^\/bigquery\/v2\/projects\/[^/]+\/datasets\/([^/]+)\/tables\/([^/]+)$/,
  ],
  ["jobs.insert", "POST", /^\/bigquery\/v2\/projects\/[^/]+\/jobs$/],
  ["jobs.get", "GET", /^\/bigquery\/v2\/projects\/[^/]+\/jobs\/([^/]+)$/],
  ["jobs.cancel", "POST", /^\/bigquery\/v2\/projects\/[^/]+\/jobs\/([^/]+)\/cancel$/],
  ["jobs.query", "POST", /^\/bigquery\/v2\/projects\/[^/]+\/queries$/],
  ["jobs.getQueryResults", "GET", /^\/bigquery\/v2\/projects\/[^/]+\/queries\/([^/]+)$/],
];

/** Answers requests. */
export class Routes {
  readonly datasets: Map<string, Dataset> = new Map();
  endpoint = "";
  readonly #project: string;
  readonly #issuer: TokenIssuer;
  readonly #pageBytes: number;
  readonly #uploads: Uploads = new Uploads();
  #queries = 0;

  constructor(options: { project: string; issuer: TokenIssuer; pageBytes: number }) {
    this.#project = options.project;
    this.#issuer = options.issuer;
    this.#pageBytes = options.pageBytes;
  }

  /** What a request is. */
  name({ method, url }: ApiRequest): string {
    return ROUTES.find(([, on, path]) => on === method && path.test(url.pathname))?.[0] ??
      "unknown";
  }

  /** Carries a request out. Throws an `ApiFault`. */
  async answer(request: ApiRequest, trouble: JobTrouble): Promise<ApiResponse> {
    const { url, headers, body } = request;
    const what = this.name(request);
    if (what === "token") {
      const form = new URLSearchParams(body.toString());
      return await this.#issuer.answer(form, `${this.endpoint}/token`);
    }
    this.#issuer.check(headers.get("authorization"));
    const [, , path] = ROUTES.find(([name]) => name === what) ??
      raise(404, "notFound", `Not found: ${url.pathname}`);
    const [, first = "", second = ""] = path.exec(url.pathname)!;
    const [, project] = /\/projects\/([^/]+)\//.exec(url.pathname)!;
    if (project !== this.#project) raise(403, "accessDenied", `Access Denied: Project ${project}`);
    const json = <T>() => JSON.parse(body.toString()) as T;
    switch (what) {
      case "upload.begin": {
        const job = json<JobBody>();
        const { jobs, id } = this.#newJob(job);
        const { engine } = this.#dataset(job.configuration?.load?.destinationTable?.datasetId);
        const session = this.#uploads.begin({ job, jobs, id, engine, trouble, request });
        const location =
          `${this.endpoint}${url.pathname}?uploadType=resumable&upload_id=${session}`;
        return { status: 200, headers: { location } };
      }
      case "upload.put": {
        const answer = this.#uploads.put(request);
        return answer.job === undefined ? answer : { status: 200, body: jobBody(answer.job) };
      }
      case "datasets.get":
        this.#dataset(first);
        return {
          status: 200,
          body: { datasetReference: { datasetId: first }, location: LOCATION },
        };
      case "tables.insert":
        return await this.#makeTable(first, json());
      case "tables.get": {
        const { fields } = this.#dataset(first).engine.table(decodeURIComponent(second));
        return { status: 200, body: { schema: { fields }, location: LOCATION } };
      }
      case "tables.delete": {
        const { engine } = this.#dataset(first);
        engine.table(second);
        await engine.run(`DROP TABLE ${quote(second)}`);
        engine.tables.delete(second);
        return { status: 204 };
      }
      case "jobs.insert": {
        const job = json<JobBody>();
        const { jobs, id } = this.#newJob(job);
        const query = job.configuration?.query ??
          raise(400, "invalid", "Only query jobs are known");
        return { status: 200, body: jobBody(jobs.start(id, workOf(query), trouble)) };
      }
      case "jobs.get":
        await settled(this.#job(first, url));
        return { status: 200, body: jobBody(this.#job(first, url)) };
      case "jobs.cancel":
        return { status: 200, body: { job: jobBody(this.#job(first, url)) } };
      case "jobs.query": {
        const query = json<QueryBody & { location?: string }>();
        checkLocation(query.location);
        const { jobs } = this.#dataset(query.defaultDataset?.datasetId);
        const job = jobs.start(`job_${++this.#queries}`, workOf(query), trouble);
        return await this.#results(job, 0);
      }
      default: {
        const format = url.searchParams.get("formatOptions.useInt64Timestamp");
        if (format !== "true") raise(400, "invalid", "Only useInt64Timestamp is known");
        const start = Number(url.searchParams.get("pageToken") ?? 0);
        return await this.#results(this.#job(first, url), start);
      }
    }
  }

  /** Where a new job runs, once its reference is looked at. */
  #newJob({ jobReference, configuration }: JobBody): { jobs: JobList; id: string } {
    const { projectId, jobId, location } = jobReference ?? {};
    if (projectId !== this.#project || jobId === undefined) {
      raise(400, "invalid", "Invalid job reference");
    }
    checkLocation(location);
    const { query, load } = configuration ?? {};
    const { jobs } = this.#dataset(
      query?.defaultDataset?.datasetId ?? load?.destinationTable?.datasetId,
    );
    for (const dataset of this.datasets.values()) dataset.jobs.checkId(jobId);
    return { jobs, id: jobId };
  }

  async #results(job: Job, start: number): Promise<ApiResponse> {
    const reference = { projectId: this.#project, jobId: job.id, location: LOCATION };
    if (job.polls > 0) {
      job.polls--;
      return { status: 200, body: { jobReference: reference, jobComplete: false } };
    }
    await job.done;
    if (job.fault !== undefined) throw job.fault;
    const rows = job.rows ?? { names: [], types: [], rows: [] };
    const page = resultPage(rows, { start, maxBytes: this.#pageBytes });
    return { status: 200, body: { jobReference: reference, jobComplete: true, ...page } };
  }

  async #makeTable(
    dataset: string,
    body: {
      tableReference: { tableId: string };
      schema: { fields: { name: string; type: string }[] };
      expirationTime?: string;
    },
  ): Promise<ApiResponse> {
    const { engine } = this.#dataset(dataset);
    const fields = body.schema.fields.map(({ name, type }): Field => {
      const known = TYPES.get(type) ?? raise(400, "invalid", `Invalid field type ${type}`);
      return { name, type: known.api, mode: "NULLABLE" };
    });
    const { tableId } = body.tableReference;
    const duck = (type: string) => [...TYPES.values()].find(({ api }) => api === type)!.duck;
    await engine.alone(async () => {
      engine.check(tableId, fields);
      await engine.run(`CREATE TABLE ${quote(tableId)} (${columnsText(fields, duck)})`);
      engine.add(tableId, fields);
    });
    return { status: 200, body: { tableReference: body.tableReference } };
  }

  #dataset(name: string | undefined): Dataset {
    return this.datasets.get(name ?? "") ??
      raise(404, "notFound", `Not found: Dataset ${this.#project}:${name}`);
  }

  #job(id: string, url: URL): Job {
    checkLocation(url.searchParams.get("location") ?? undefined);
    for (const { jobs } of this.datasets.values()) {
      if (jobs.has(id)) return jobs.get(id);
    }
    return raise(404, "notFound", `Not found: Job ${id}`);
  }
}

/** Jobs are found only where they run. */
function checkLocation(location: string | undefined): void {
  if (location !== LOCATION) {
    raise(404, "notFound", `Not found: Job or dataset in location ${location}`);
  }
}

function raise(status: number, reason: string, message: string): never {
  throw new ApiFault(status, reason, message);
}

/** Waits for a job that nothing holds up: it is quick enough to be done when it is first looked at. */
async function settled(job: Job): Promise<void> {
  if (job.polls === 0 && !job.held) await job.done;
}

/** A job as the API has it. It is looked at. */
function jobBody(job: Job): unknown {
  const pending = job.polls > 0 && job.polls-- > 0;
  const state = pending ? "RUNNING" : job.state;
  const error = job.fault === undefined || state !== "DONE" ? undefined : {
    reason: job.fault.reason,
    message: job.fault.message,
  };
  return {
    jobReference: { jobId: job.id, location: LOCATION },
    status: { state, ...(error !== undefined && { errorResult: error, errors: [error] }) },
  };
}

function workOf(body: QueryBody): { query: string; parameters: Map<string, Parameter> } {
  const { query, useLegacySql, parameterMode, queryParameters = [] } = body;
  if (query === undefined || useLegacySql !== false) {
    raise(400, "invalid", "Only GoogleSQL is known");
  }
  if (queryParameters.length > 0 && parameterMode !== "NAMED") {
    raise(400, "invalid", "Only named parameters are known");
  }
  const parameters = new Map<string, Parameter>();
  for (const { name = "", parameterType, parameterValue } of queryParameters) {
    const { type, arrayType } = parameterType;
    parameters.set(
      name.toLowerCase(),
      type === "ARRAY" && arrayType?.type === "STRING"
        ? {
          type: "ARRAY<STRING>",
          value: (parameterValue.arrayValues ?? []).map(({ value }) => value),
        }
        : { type: scalarType(type), value: parameterValue.value ?? null },
    );
  }
  return { query, parameters };
}

function scalarType(type: string): "STRING" | "INT64" | "FLOAT64" | "BOOL" {
  if (type === "STRING" || type === "INT64" || type === "FLOAT64" || type === "BOOL") return type;
  return raise(400, "invalid", `Invalid parameter type ${type}`);
}
