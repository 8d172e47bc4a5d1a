import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type EmulatorCredentials, TokenIssuer } from "./bigquery_emulator/auth.ts";
import { Engine } from "./bigquery_emulator/engine.ts";
import { ApiFault } from "./bigquery_emulator/fault.ts";
import { JobList, type JobTrouble } from "./bigquery_emulator/jobs.ts";
import { type ApiRequest, type ApiResponse, Routes } from "./bigquery_emulator/routes.ts";

export type { EmulatorCredentials } from "./bigquery_emulator/auth.ts";

/** What goes wrong with a request. */
export type EmulatorFault =
  /** It is not carried out, and its connection breaks. */
  | "lose-request"
  /** It is carried out, and its connection breaks before the answer. */
  | "lose-answer"
  /** It is not carried out and answered so. */
  | { readonly refuse: number; readonly reason: string }
  /** The job that it starts has this trouble. */
  | JobTrouble;

/** A request as a test sees it. */
export interface EmulatorRequest {
  readonly method: string;
  /** `token`, `datasets.get`, `tables.insert`, `jobs.query` … */
  readonly what: string;
  /** Its path and query. */
  readonly url: string;
  readonly body: string;
}

/** A BigQuery with one project and one dataset. Disposing of it ends it. */
export interface BigQueryEmulator extends AsyncDisposable {
  /** Its URL, as the adapter's `endpoint`. */
  readonly endpoint: string;
  /** Who may ask. */
  readonly credentials: EmulatorCredentials;
  /** What gives the tokens. */
  readonly tokens: Pick<TokenIssuer, "expireAll" | "issued" | "lifeSeconds">;
  /** Makes an empty dataset. */
  makeDataset(name: string): Promise<void>;
  /** What went through, in order. */
  readonly requests: readonly EmulatorRequest[];
  /** Called for each request: what it gives goes wrong with it. */
  fault: (request: EmulatorRequest) => EmulatorFault | undefined;
  /** Breaks all connections and goes away, for so many requests at least. Jobs go on. */
  outage(requests: number): Promise<void>;
}

/**
 * Starts an emulator of BigQuery's REST API: those endpoints, and of GoogleSQL just that, which
 * `@lakesync/adapter-bigquery` has use for. What it does not know it refuses, and so it does what
 * BigQuery would refuse: types that do not fit, reserved words, names, limits, keys that are said to be
 * enforced, transactions that change a table at once.
 *
 * @param options `pageBytes`: how large a page of a result may be; `now`: the clock of its tokens.
 * @returns The emulator, which answers already.
 *
 * @example Ask for what is not there
 * ```ts
 * import { startBigQuery } from "@lakesync/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await startBigQuery();
 * const answer = await fetch(`${server.endpoint}/bigquery/v2/projects/p/datasets/d`);
 * assertEquals(answer.status, 401);
 * await answer.body?.cancel();
 * ```
 */
export async function startBigQuery(
  options: { readonly pageBytes?: number; readonly now?: () => number } = {},
): Promise<BigQueryEmulator> {
  const { pageBytes = 1024 * 1024, now = Date.now } = options;
  const project = "lakesync-test";
  const { issuer, account } = await TokenIssuer.create({ project, now });
  const routes = new Routes({ project, issuer, pageBytes });
  const sockets = new Set<Socket>();
  const requests: EmulatorRequest[] = [];
  const outages: { left: number; resolve(): void }[] = [];
  const server = createServer((incoming, outgoing) => {
    void answer(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  const endpoint = await listen(server);
  routes.endpoint = endpoint;

  /** Counts a request that an outage costs. */
  function isAway(): boolean {
    const [outage] = outages;
    if (outage === undefined) return false;
    if (--outage.left <= 0) outages.shift()!.resolve();
    return true;
  }

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = await readRequest(incoming, endpoint);
    const what = routes.name(request);
    const seen = {
      method: request.method,
      what,
      url: `${request.url.pathname}${request.url.search}`,
      body: request.body.length > 100_000 ? "" : request.body.toString(),
    };
    if (isAway()) return breakOff(incoming, outgoing);
    requests.push(seen);
    const fault = emulator.fault(seen);
    if (fault === "lose-request") return breakOff(incoming, outgoing);
    let response: ApiResponse;
    if (typeof fault === "object" && "refuse" in fault) {
      response = faultResponse(
        new ApiFault(fault.refuse, fault.reason, `Refused: ${fault.reason}`),
      );
    } else {
      const trouble = typeof fault === "object" ? fault : {};
      response = await routes.answer(request, trouble).catch((thrown) => {
        return faultResponse(
          thrown instanceof ApiFault ? thrown : new ApiFault(500, "internalError", String(thrown)),
        );
      });
    }
    if (fault === "lose-answer" || isAway()) return breakOff(incoming, outgoing);
    const text = response.body === undefined ? "" : JSON.stringify(response.body);
    outgoing.writeHead(response.status, {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(text)),
      ...response.headers,
    });
    outgoing.end(text);
  }

  const emulator: BigQueryEmulator = {
    endpoint,
    credentials: { ...account, token_uri: `${endpoint}/token` },
    tokens: issuer,
    requests,
    fault: () => undefined,
    async makeDataset(name) {
      const engine = await Engine.create();
      routes.datasets.set(name, { engine, jobs: new JobList(engine) });
    },
    outage(requests) {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => outages.push({ left: requests, resolve }));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      for (const { engine } of routes.datasets.values()) await engine.close();
    },
  };
  return emulator;
}

/**
 * Begins an answer and breaks the connection: without a beginning, a runtime may send the request
 * again by itself, and the adapter would notice nothing.
 */
function breakOff(incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.writeHead(200, { "content-length": "2" });
  outgoing.write("{", () => incoming.socket.destroy());
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });
  });
}

async function readRequest(incoming: IncomingMessage, endpoint: string): Promise<ApiRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return {
    method: incoming.method ?? "GET",
    url: new URL(incoming.url ?? "/", endpoint),
    headers: new Map(
      Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
    ),
    body: Buffer.concat(chunks),
  };
}

function faultResponse(fault: ApiFault): ApiResponse {
  return { status: fault.status, body: fault.body() };
}
