import {
  abortedError,
  type CheckpointHeader,
  err,
  type ErrorBody,
  isHlc,
  isLogSeq,
  isRequestErrorCode,
  LakeSyncError,
  type LogSeq,
  ok,
  type PullAnswer,
  type Result,
} from "@lakesync/core";
import type { PullFromGatewayOptions } from "./pulled.ts";

interface Asked {
  readonly method?: "GET" | "POST";
  readonly query?: { readonly [name: string]: string };
  readonly signal?: AbortSignal | undefined;
}

/** The requests to a gateway that an analyst makes (PROTOCOL, section 4). */
export class GatewayRequests {
  readonly #options: PullFromGatewayOptions;
  readonly #url: string;

  constructor(options: PullFromGatewayOptions) {
    this.#options = options;
    if (!URL.canParse(options.url)) {
      throw new TypeError(`Cannot pull from "${options.url}": it is no URL`);
    }
    this.#url = new URL(options.url).href.replace(/\/+$/, "");
  }

  /** What comes after a cursor, and the tables where they are others than those of this tag. */
  async pull(
    { cursor, tag, signal }: { cursor: string; tag: string; signal: AbortSignal | undefined },
  ): Promise<Result<PullAnswer>> {
    const { clientId } = this.#options;
    const query = { clientId, cursor, limit: "10000", schema: tag };
    return await this.#ask("sync", "pull", { query, signal }, async (response) => {
      const page = await response.json() as Partial<PullAnswer> | null;
      const valid = Array.isArray(page?.deltas) && typeof page.cursor === "string" &&
        typeof page.hasMore === "boolean" && isHlc(page.serverHlc);
      return valid ? ok(page as PullAnswer) : err(this.#foreign("pull"));
    });
  }

  /** A cursor from which pulls can go on: that of a checkpoint, which is not read. */
  async cursor(): Promise<Result<{ readonly cursor: string; readonly seq: LogSeq }>> {
    const query = { clientId: this.#options.clientId, atLeast: "0" };
    return await this.#ask("sync", "checkpoint", { query }, async (response) => {
      const header = JSON.parse(await firstLine(response)) as Partial<CheckpointHeader> | null;
      const { cursor, seq } = header?.checkpoint ?? {};
      const valid = typeof cursor === "string" && isLogSeq(seq);
      return valid ? ok({ cursor, seq }) : err(this.#foreign("checkpoint"));
    });
  }

  /** Has the gateway flush; how far all of its destinations have come. */
  async flush(): Promise<Result<LogSeq>> {
    return await this.#ask("admin", "flush", { method: "POST" }, async (response) => {
      const { flushedSeq } = await response.json() as { flushedSeq?: unknown };
      return isLogSeq(flushedSeq) ? ok(flushedSeq) : err(this.#foreign("flush"));
    });
  }

  /** How far the destination `lake` has come; undefined where the gateway tells of none. */
  async lakeSeq(): Promise<Result<LogSeq | undefined>> {
    return await this.#ask("admin", "stats", {}, async (response) => {
      const { destinations } = await response.json() as {
        destinations?: { lake?: { flushedSeq?: unknown } };
      };
      const flushedSeq = destinations?.lake?.flushedSeq;
      const valid = flushedSeq === undefined || isLogSeq(flushedSeq);
      return valid ? ok(flushedSeq) : err(this.#foreign("stats"));
    });
  }

  async #ask<T>(
    area: "sync" | "admin",
    route: string,
    { method = "GET", query = {}, signal }: Asked,
    read: (response: Response) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    const { gateway = "default", getToken, fetch: send = (request) => fetch(request) } =
      this.#options;
    const url = new URL(`${this.#url}/v1/${area}/${encodeURIComponent(gateway)}/${route}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    try {
      const token = await getToken?.();
      const headers = new Headers();
      if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
      const init = { method, headers, ...(signal !== undefined && { signal }) };
      const response = await send(new Request(url, init));
      return response.ok ? await read(response) : err(await refusal(response, route));
    } catch (cause) {
      if (signal?.aborted === true) return err(abortedError(`the ${route}`, signal));
      if (cause instanceof SyntaxError) return err(this.#foreign(route));
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `Cannot reach ${this.#url} for a ${route}, try again: ${reason}`;
      return err(new LakeSyncError("OFFLINE", message, { cause }));
    }
  }

  #foreign(route: string): LakeSyncError {
    const message = `Cannot read the answer to a ${route} of ${this.#url}: it is no gateway's`;
    return new LakeSyncError("INTERNAL", `${message}, check the URL`);
  }
}

/** The error that a gateway, or what stands before it, has answered. */
async function refusal(response: Response, route: string): Promise<LakeSyncError> {
  const body = await response.json().catch(() => null) as Partial<ErrorBody> | null;
  const { code, message } = body?.error ?? {};
  return new LakeSyncError(
    code !== undefined && isRequestErrorCode(code) ? code : "INTERNAL",
    message ?? `The gateway answered a ${route} with ${response.status}: see its logs`,
  );
}

/** The first line of a body; the rest is not fetched. */
async function firstLine(response: Response): Promise<string> {
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  return text;
}
