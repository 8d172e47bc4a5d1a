import { icebergDestination } from "@lakesync/adapter-iceberg";
import type { LogStore, Result, Rules } from "@lakesync/core";
import {
  createGateway,
  createHandler,
  type Gateway,
  type Handler,
  type WsUpgrade,
} from "@lakesync/gateway";
import type { Issuer } from "./issuer.ts";
import { SimClock, SimProcess } from "./process.ts";
import type { Setting } from "./schedule.ts";
import type { SharedDatabase } from "./shared_database.ts";
import type { SharedLake } from "./shared_lake.ts";
import { type AppVersion, schemasOf } from "./tables.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** How long the log is kept, in ms: longer than any message is under way, and any clock jumps. */
export const RETENTION_MS = 150_000;

/** What an {@linkcode Instance} works with. */
export interface InstanceOptions {
  readonly index: number;
  readonly setting: Setting;
  readonly seed: bigint;
  readonly time: VirtualTime;
  readonly trace: Trace;
  /** Opens the log's store for a process. */
  readonly openLog: (process: SimProcess) => Promise<Result<LogStore>>;
  /** Called when its process has been killed. */
  readonly killed: () => void;
  readonly lake: SharedLake;
  /** What is flushed to behind the lake. */
  readonly database: SharedDatabase | undefined;
  /** Signs tokens; undefined where there is no authentication. */
  readonly issuer: Issuer | undefined;
  readonly violate: (promise: string, details: string) => void;
}

/** What an instance is started with. */
export interface Config {
  /** The tables that it puts. */
  readonly tables?: AppVersion;
  /** The rules that it puts. */
  readonly rules?: Rules;
}

/** An answer as it goes over the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string | undefined;
}

/** A process of the gateway, or none for now. */
export class Instance {
  readonly index: number;
  readonly clock: SimClock;
  readonly #options: InstanceOptions;
  #starts = 0;
  #process: SimProcess | undefined;
  #gateway: Gateway | undefined;
  #handler: Handler | undefined;

  constructor(options: InstanceOptions) {
    const { index, setting, time } = options;
    this.#options = options;
    this.index = index;
    this.clock = new SimClock(time, {
      skewMs: setting.instanceSkewMs[index] ?? 0,
      grainMs: setting.grainMs,
    });
  }

  get name(): string {
    return `gateway${this.index}`;
  }

  /** Its process, where it takes requests. */
  get process(): SimProcess | undefined {
    return this.#handler === undefined ? undefined : this.#process;
  }

  /** Whether there is a process, also one that is still starting. */
  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Starts it, and has it put these tables and rules where they are given. */
  async start(config: Config = {}): Promise<void> {
    const { time, seed, trace, setting, lake, database, openLog, issuer, violate } = this.#options;
    const { tables, rules } = config;
    const start = ++this.#starts;
    const { clock } = this;
    const process = new SimProcess(time, { name: this.name, clock, seed: seed + BigInt(start) });
    this.#process = process;
    trace.note(this.name, "starts");
    const store = await openLog(process);
    if (this.#process !== process) return;
    if (!store.ok) return this.#failed(process, store.error.message, config);
    const logger = {
      log: (level: string, event: string, facts: unknown = {}) => {
        if (process.alive) trace.note(this.name, `${level} ${event}`, JSON.stringify(facts));
      },
    };
    const gateway = await createGateway({
      id: "main",
      logger,
      store: store.value,
      ...(tables !== undefined && { tables: schemasOf(tables) }),
      ...(rules !== undefined && { rules }),
      destinations: [
        icebergDestination({ catalogue: lake.open(process), clock, random: process.random }),
        ...(database === undefined ? [] : [database.open(process)]),
      ],
      limits: {
        retentionMs: RETENTION_MS,
        pageItems: setting.pageItems,
        pageBytes: setting.pageBytes,
        pushDeltas: setting.pushDeltas,
      },
      scheduler: process.scheduler,
      random: process.random,
    });
    if (this.#process !== process) return;
    if (!gateway.ok) {
      if (gateway.error.code !== "STORAGE_ERROR") {
        return violate("a gateway starts again", `${gateway.error.code}: ${gateway.error.message}`);
      }
      return this.#failed(process, gateway.error.message, config);
    }
    this.#gateway = gateway.value;
    this.#handler = createHandler({
      gateways: [gateway.value],
      ...(issuer !== undefined && { auth: issuer.auth(clock) }),
      clock,
      scheduler: process.scheduler,
      random: process.random,
      logger,
    });
    trace.note(this.name, "is ready");
  }

  /** Its store did not answer: what watches over it starts it again. */
  #failed(process: SimProcess, message: string, config: Config): void {
    this.#options.trace.note(this.name, "cannot start", message);
    process.kill();
    if (this.#process === process) this.#process = undefined;
    const { time } = this.#options;
    time.at(time.now + 2_000, () => {
      if (this.#process === undefined) void this.start(config);
    });
  }

  /** Dies. */
  kill(): void {
    const process = this.#process;
    if (process === undefined) return;
    this.#options.trace.note(this.name, "is killed");
    this.#options.trace.count("kill gateway");
    this.#process = undefined;
    this.#gateway = undefined;
    this.#handler = undefined;
    this.#options.killed();
    process.kill();
  }

  /** Stops in good order and starts again. */
  async restart(): Promise<void> {
    const process = this.#process;
    const handler = this.#handler;
    const gateway = this.#gateway;
    if (process === undefined || handler === undefined || gateway === undefined) return;
    this.#options.trace.count("restart gateway");
    await handler.drain();
    await gateway.close();
    if (this.#process !== process) return;
    process.kill();
    this.#process = undefined;
    this.#gateway = undefined;
    this.#handler = undefined;
    await this.start();
  }

  freeze(ms: number): void {
    this.#process?.freeze(ms);
  }

  thaw(): void {
    this.#process?.thaw();
  }

  /** Answers a request; never, where its process dies over it. */
  async answer(request: WireRequest, signal?: AbortSignal): Promise<WireAnswer> {
    const { method, url, headers, body } = request;
    const response = await this.#handler!.fetch(
      new Request(url, {
        method,
        headers,
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
      }),
    );
    return { status: response.status, headers: response.headers, body: response.body };
  }

  /** Answers a request for a WebSocket; never, where its process dies over it. */
  async upgrade(url: string, protocols: readonly string[]): Promise<WsUpgrade | Response> {
    const headers = new Headers({
      "upgrade": "websocket",
      "connection": "upgrade",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-protocol": protocols.join(", "),
    });
    return await this.#handler!.upgrade(new Request(url, { headers }));
  }

  /** Puts tables to it, as an operator does; whether it took them. */
  putTables(version: AppVersion): Promise<boolean> {
    return this.#put("schema", { tables: schemasOf(version) });
  }

  /** Puts rules to it, as an operator does; whether it took them. */
  putRules(rules: Rules): Promise<boolean> {
    return this.#put("rules", rules);
  }

  async #put(what: string, value: unknown): Promise<boolean> {
    const headers = await this.#operator();
    if (this.process === undefined) return false;
    const answer = await this.answer({
      method: "PUT",
      url: `http://gateway/v1/admin/main/${what}`,
      headers,
      body: JSON.stringify(value),
    });
    this.#options.trace.note(this.name, `${what} put ${answer.status}`);
    if (answer.status === 400) {
      this.#options.violate(
        "an operator's change is taken",
        await new Response(answer.body).text(),
      );
    }
    return answer.status === 200;
  }

  async #operator(): Promise<Headers> {
    return await this.#options.issuer?.admin() ??
      new Headers({ "content-type": "application/json" });
  }

  /** Has it flush; up to where the lake is then, or undefined where that failed. */
  async flush(): Promise<number | undefined> {
    if (this.process === undefined) return undefined;
    const { trace } = this.#options;
    const headers = await this.#operator();
    if (this.process === undefined) return undefined;
    const answer = await this.answer({
      method: "POST",
      url: "http://gateway/v1/admin/main/flush",
      headers,
      body: undefined,
    });
    const text = await new Response(answer.body).text();
    trace.note(this.name, `flush ${answer.status}`, text);
    trace.count(answer.status === 200 ? "flush" : "flush fails");
    if (text.includes("restored from an older backup")) trace.count("lake ahead refused");
    return answer.status === 200
      ? (JSON.parse(text) as { flushedSeq: number }).flushedSeq
      : undefined;
  }

  /** Starts it where it does not run. */
  ensure(config?: Config): void {
    if (!this.running) void this.start(config);
  }
}
