import { Buffer } from "node:buffer";
import type { Engine } from "./engine.ts";
import { ApiFault } from "./fault.ts";
import type { Job, JobList, JobTrouble } from "./jobs.ts";
import type { ApiRequest, ApiResponse, JobBody } from "./routes.ts";

/** Parts but the last are multiples of this. */
const UNIT = 256 * 1024;

interface Upload {
  readonly jobs: JobList;
  readonly id: string;
  readonly table: string;
  readonly trouble: JobTrouble;
  readonly parts: Buffer[];
  size: number;
  job: Job | undefined;
}

/** Resumable uploads, each of which ends in a load job. */
export class Uploads {
  readonly #uploads: Map<string, Upload> = new Map();

  /** Begins one, and gives its id. */
  begin(options: {
    readonly job: JobBody;
    readonly jobs: JobList;
    readonly id: string;
    readonly engine: Engine;
    readonly trouble: JobTrouble;
    readonly request: ApiRequest;
  }): string {
    const { job, jobs, id, engine, trouble, request: { url } } = options;
    const load = job.configuration?.load;
    const known = url.searchParams.get("uploadType") === "resumable" &&
      load?.sourceFormat === "NEWLINE_DELIMITED_JSON" &&
      load.createDisposition === "CREATE_NEVER" && load.writeDisposition === "WRITE_EMPTY";
    if (!known || load.destinationTable === undefined) {
      throw new ApiFault(400, "invalid", "This kind of load is not known");
    }
    const table = load.destinationTable.tableId;
    engine.table(table);
    const session = `upload_${this.#uploads.size + 1}`;
    this.#uploads.set(session, { jobs, id, table, trouble, parts: [], size: 0, job: undefined });
    return session;
  }

  /** Takes a part, or tells how much has arrived. */
  put({ url, headers, body }: ApiRequest): ApiResponse & { readonly job?: Job } {
    const upload = this.#uploads.get(url.searchParams.get("upload_id") ?? "");
    if (upload === undefined) throw new ApiFault(404, "notFound", "Not found: upload");
    if (upload.job !== undefined) return { status: 200, job: upload.job };
    const range = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    if (range === null) throw new ApiFault(400, "badRequest", "Invalid Content-Range");
    const [, first, last, total] = range;
    if (first !== undefined) {
      if (Number(first) !== upload.size || Number(last) - Number(first) + 1 !== body.length) {
        throw new ApiFault(400, "badRequest", "The part does not follow on the last one");
      }
      if (total === "*" && body.length % UNIT !== 0) {
        throw new ApiFault(400, "badRequest", `A part is no multiple of ${UNIT} bytes`);
      }
      upload.parts.push(body);
      upload.size += body.length;
    }
    if (total !== "*" && upload.size === Number(total)) {
      const { jobs, id, table, trouble, parts } = upload;
      upload.job = jobs.start(id, { table, data: Buffer.concat(parts) }, trouble);
      upload.parts.length = 0;
      return { status: 200, job: upload.job };
    }
    const arrived = upload.size === 0 ? {} : { range: `bytes=0-${upload.size - 1}` };
    return { status: 308, headers: arrived };
  }
}
