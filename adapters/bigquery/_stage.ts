import { Buffer } from "node:buffer";
import { type Clock, LakeSyncError } from "@lakesync/core";
import { type ApiClient, mayPass } from "./_client.ts";
import type { Jobs, WaitOptions } from "./_jobs.ts";

/** A column of a staging table. */
export interface StageField {
  readonly name: string;
  readonly type: "STRING" | "INT64" | "FLOAT64" | "BOOL" | "TIMESTAMP" | "BYTES";
}

/** How long a staging table is kept that nobody removed. */
const LIFE_MS = 24 * 60 * 60 * 1000;
/** The bytes of a part of an upload: a multiple of 256 KiB. */
const PART = 4 * 1024 * 1024;

/** What a stage is made with. */
export interface StageOptions extends WaitOptions {
  readonly client: ApiClient;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly fields: readonly StageField[];
}

/**
 * A table that lines of JSON are loaded into by one load job, to be taken from there by a statement.
 * Lines are sent on in parts of some MiB by the resumable protocol, so their number does not matter.
 *
 * @see {@link https://cloud.google.com/bigquery/docs/reference/api-uploads}
 */
export class Stage {
  /** The table's name. */
  readonly table: string;
  readonly #options: StageOptions;
  readonly #jobId: string;
  #session: string | undefined;
  #waiting: string[] = [];
  #chars = 0;
  #rest: Buffer = Buffer.alloc(0);
  #sent = 0;

  constructor(options: StageOptions) {
    this.#options = options;
    this.#jobId = options.jobs.newId();
    this.table = `lakesync_stage_${options.client.random.uuid().replaceAll("-", "")}`;
  }

  /** Takes a line, a JSON object with a newline behind it. */
  async write(line: string): Promise<void> {
    this.#waiting.push(line);
    this.#chars += line.length;
    if (this.#chars >= PART) await this.#flush(false);
  }

  /** Loads what was written. Throws a `LakeSyncError`. */
  async load(): Promise<void> {
    await this.#flush(true);
    const { jobs, signal } = this.#options;
    const fault = await jobs.wait(this.#jobId, { signal });
    if (fault !== undefined) throw jobs.error(fault);
  }

  /** Removes the table; one that cannot be removed expires. */
  async drop(): Promise<void> {
    if (this.#session === undefined) return;
    const { client } = this.#options;
    await client.send({ method: "DELETE", path: this.#path(), once: true });
  }

  #path(): string {
    return `datasets/${this.#options.client.place.dataset}/tables/${this.table}`;
  }

  async #flush(last: boolean): Promise<void> {
    this.#session ??= await this.#begin();
    let bytes = Buffer.concat([this.#rest, Buffer.from(this.#waiting.join(""))]);
    this.#waiting = [];
    this.#chars = 0;
    while (bytes.length > PART) {
      await this.#put(this.#session, { bytes: bytes.subarray(0, PART), last: false });
      bytes = bytes.subarray(PART);
    }
    this.#rest = bytes;
    if (last) await this.#put(this.#session, { bytes, last: true });
  }

  /** Makes the table and begins the upload of its load job. */
  async #begin(): Promise<string> {
    const { client, jobs, clock, fields, signal } = this.#options;
    const { project, dataset, endpoint } = client.place;
    const tableReference = { projectId: project, datasetId: dataset, tableId: this.table };
    const made = await client.send({
      method: "POST",
      path: `datasets/${dataset}/tables`,
      body: {
        tableReference,
        schema: { fields: fields.map(({ name, type }) => ({ name, type })) },
        expirationTime: String(clock.now() + LIFE_MS),
      },
      signal,
    });
    // 409: made by this very request, whose answer was lost.
    if (made.status !== 200 && made.status !== 409) throw client.failure(made);
    const begun = await client.send({
      method: "POST",
      path: `${endpoint}/upload/bigquery/v2/projects/${project}/jobs`,
      query: { uploadType: "resumable" },
      headers: { "x-upload-content-type": "application/octet-stream" },
      body: {
        jobReference: {
          projectId: project,
          jobId: this.#jobId,
          location: await jobs.location({ signal }),
        },
        configuration: {
          load: {
            destinationTable: tableReference,
            sourceFormat: "NEWLINE_DELIMITED_JSON",
            createDisposition: "CREATE_NEVER",
            writeDisposition: "WRITE_EMPTY",
          },
        },
      },
      signal,
    });
    const session = begun.headers.get("location");
    if (begun.status !== 200 || session === null) throw client.failure(begun);
    return session;
  }

  /** Sends a part; where no answer comes, asks how much has arrived and sends the rest. */
  async #put(session: string, part: { bytes: Buffer; last: boolean }): Promise<void> {
    const { client, signal } = this.#options;
    const end = this.#sent + part.bytes.length;
    const total = part.last ? String(end) : "*";
    let rest = part.bytes;
    for (let attempt = 1, ask = false;; attempt++) {
      const range = ask || rest.length === 0 ? "*" : `${end - rest.length}-${end - 1}`;
      const answer = await client.send({
        method: "PUT",
        path: session,
        headers: { "content-range": `bytes ${range}/${total}` },
        body: ask ? new Uint8Array() : new Uint8Array(rest),
        signal,
        once: true,
      });
      const { status } = answer;
      if (part.last && (status === 200 || status === 201)) return;
      if (status === 308) {
        const arrived =
          Number(/^bytes=0-(\d+)$/.exec(answer.headers.get("range") ?? "")?.[1] ?? -1) + 1;
        if (arrived < this.#sent || arrived > end) throw lost(client.name);
        rest = part.bytes.subarray(arrived - this.#sent);
        if (!part.last && rest.length === 0) {
          this.#sent = end;
          return;
        }
        // Some servers take less than they are given: the rest goes on from there.
        ask = false;
      } else if (status === 404 || status === 410) {
        // The session is over. With its last part the job began, which is then looked at by its id.
        if (part.last && ask) return;
        throw lost(client.name);
      } else if (mayPass(answer)) {
        ask = true;
      } else throw client.failure(answer);
      if (attempt >= client.attempts * 2) throw client.failure(answer);
      if (ask) await client.wait(attempt, signal);
    }
  }
}

function lost(name: string): LakeSyncError {
  return new LakeSyncError("OFFLINE", `${name} has lost an upload that was under way: try again`);
}
