import type { CheckpointHeader, PullAnswer, PushAnswer, PushRequest } from "@lakesync/core";
import { Prng } from "../prng.ts";
import type { Device } from "./device.ts";
import type { Instance, WireAnswer, WireRequest } from "./instance.ts";
import type { SimProcess } from "./process.ts";
import type { NetKind } from "./schedule.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** What a {@linkcode Network} works with. */
export interface NetworkOptions {
  readonly time: VirtualTime;
  readonly trace: Trace;
  readonly seed: bigint;
  readonly instances: readonly Instance[];
  readonly latencyMs: number;
  /** Called when a gateway has answered a push, before the answer is on its way. */
  readonly pushed: (request: PushRequest, answer: PushAnswer) => void;
  /** Called with each cursor that a gateway gives. */
  readonly cursor: (text: string) => void;
  readonly violate: (promise: string, details: string) => void;
}

/** No message is under way for longer, in ms. */
export const LONGEST_MS = 20_000;

/** An answer, and whether it goes out bit by bit. */
type Arrived = WireAnswer & { readonly streams: boolean; readonly serverHlc?: bigint };

/** A time in which something goes wrong. */
interface Window {
  readonly kind: NetKind;
  readonly chance: number;
  readonly until: number;
}

/** The ways between devices and instances: messages are lost, late, doubled, out of order. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #random: Prng[] = [];
  readonly #windows: Window[][] = [];
  /** Until when a device does not reach an instance. */
  readonly #cuts = new Map<string, number>();
  /** The greatest time that a device was told, until the store is another one. */
  #told = new Map<number, bigint>();

  constructor(options: NetworkOptions, devices: number) {
    this.#options = options;
    for (let i = 0; i < devices; i++) {
      this.#random.push(new Prng(options.seed * 31n + BigInt(i)));
      this.#windows.push([]);
    }
  }

  /** From now on, for so long, something goes wrong with that probability. */
  disturb(device: number, window: Window): void {
    this.#windows[device]!.push(window);
  }

  /** For so long a device does not reach an instance. */
  cut(device: number, instance: number, until: number): void {
    this.#cuts.set(`${device} ${instance}`, until);
  }

  /** Nothing goes wrong any more. */
  heal(): void {
    for (const windows of this.#windows) windows.length = 0;
    this.#cuts.clear();
  }

  /** The store is another one, whose clock may be behind. */
  storeChanged(): void {
    this.#told = new Map();
  }

  /** Whether something goes wrong now on a device's way. */
  #fault(device: number, kind: NetKind): boolean {
    const { now } = this.#options.time;
    const random = this.#random[device]!;
    return this.#windows[device]!.some((window) =>
      window.kind === kind && window.until > now && random.chance(window.chance)
    );
  }

  /** Brings a request to an instance and its answer back; rejects as fetch does. */
  async send(device: Device, process: SimProcess, request: Request): Promise<Response> {
    const { time, trace, instances } = this.#options;
    const text = request.method === "POST" ? await request.text() : undefined;
    const { method, url, headers, signal } = request;
    const wire: WireRequest = { method, url, headers, body: text };
    const random = this.#random[device.index]!;
    const up = instances.filter((instance) => instance.process !== undefined);
    const instance = random.pick(up.length > 0 ? up : instances);
    const what = `${method} ${new URL(url).pathname.split("/").at(-1)}`;
    trace.note(device.name, `sends ${what} to ${instance.name}`, text ?? new URL(url).search);
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    promise.catch(() => {});
    const back = (ms: number, run: () => void) => process.at(time.now + ms, run);
    const lose = (reason: string) => back(this.#latency(device.index), () => reject(reset(reason)));
    // What the device gives up, the instance is told, as by a closed connection.
    const closed = new AbortController();
    signal.addEventListener("abort", () => {
      reject(new DOMException("The request was stopped", "AbortError"));
      time.at(time.now + this.#latency(device.index), () => closed.abort());
    });
    const cut = (this.#cuts.get(`${device.index} ${instance.index}`) ?? 0) > time.now;
    if (cut) trace.count("partition");
    if (this.#fault(device.index, "drop request") || (cut && random.chance(0.5))) {
      trace.count("net drop request");
      return await promise;
    }
    if (cut) {
      lose("no route to host");
      return await promise;
    }
    if (this.#fault(device.index, "duplicate")) {
      trace.count("net duplicate");
      const late = this.#late(device.index);
      time.at(time.now + late, () => void this.#arrive(device, instance, wire, { what }));
    }
    const ms = this.#fault(device.index, "delay")
      ? this.#late(device.index)
      : this.#latency(device.index);
    if (ms > 1_000) trace.count("net delay");
    const heard = this.#hears(device);
    time.at(time.now + ms, () => {
      const arrived = this.#arrive(device, instance, wire, { what, signal: closed.signal });
      if (arrived === undefined) return void lose("connection refused");
      this.#return(device, arrived, { process, signal, resolve, lose, heard });
    });
    return await promise;
  }

  /** A request comes to an instance; its answer, or undefined where nobody listens. */
  #arrive(
    device: Device,
    instance: Instance,
    wire: WireRequest,
    context: { what: string; signal?: AbortSignal },
  ): { answer: Promise<Arrived>; process: SimProcess } | undefined {
    const { trace, pushed, cursor } = this.#options;
    const { process } = instance;
    if (process === undefined) return undefined;
    trace.note(instance.name, `gets ${context.what} of ${device.name}`);
    const answer = instance.answer(wire, context.signal).then(
      async (answer): Promise<Arrived> => {
        const streams = wire.url.includes("/checkpoint?") && answer.status === 200;
        if (answer.body === null || streams) return { ...answer, streams };
        const text = await new Response(answer.body).text();
        if (!process.alive) return { ...answer, streams };
        trace.note(instance.name, `answers ${answer.status} to ${device.name}`, text);
        this.#judge(answer.status, text);
        const whole = { ...answer, body: new Response(text).body, streams };
        if (answer.status !== 200) return whole;
        const value = JSON.parse(text) as PushAnswer & PullAnswer;
        if (wire.url.endsWith("/push")) pushed(JSON.parse(wire.body!) as PushRequest, value);
        else cursor(value.cursor);
        return { ...whole, serverHlc: BigInt(value.serverHlc) };
      },
    );
    answer.catch(() => {});
    return { answer, process };
  }

  /** Answers that no gateway may give to a client that keeps to the protocol. */
  #judge(status: number, text: string): void {
    if (status < 500 && ![400, 403, 404, 405].includes(status)) return;
    if (status === 503 || status === 504) return;
    const code = (JSON.parse(text) as { error?: { code?: string } }).error?.code ?? "";
    if (status === 500 && this.storageFails()) return;
    this.#options.violate("a gateway does not fail by itself", `${status} ${code}: ${text}`);
  }

  /** Whether the stores are made to fail: then a gateway may answer 500. */
  storageFails: () => boolean = () => false;

  #return(
    device: Device,
    arrived: { answer: Promise<Arrived>; process: SimProcess },
    to: {
      process: SimProcess;
      signal: AbortSignal;
      resolve: (response: Response) => void;
      lose: (reason: string) => void;
      heard: (serverHlc: bigint | undefined) => void;
    },
  ): void {
    const { time, trace } = this.#options;
    const forget = arrived.process.onKill(() => void to.lose("connection reset by peer"));
    const failed = (): void => {
      forget();
      to.lose("connection reset by peer");
    };
    arrived.answer.then(async (answer) => {
      if (!arrived.process.alive) return;
      forget();
      if (this.#fault(device.index, "drop answer")) return trace.count("net drop answer");
      if (this.#fault(device.index, "reset")) {
        trace.count("net reset");
        return void to.lose("connection reset by peer");
      }
      const body = answer.streams && answer.body !== null
        ? this.#stream(device, answer.body, { ...to, from: arrived.process, to: to.process })
        : answer.body === null
        ? null
        : await new Response(answer.body).text();
      const { status, headers } = answer;
      const ms = this.#fault(device.index, "delay")
        ? this.#late(device.index)
        : this.#latency(device.index);
      to.process.at(time.now + ms, () => {
        to.heard(answer.serverHlc);
        to.resolve(new Response(body, { status, headers }));
      });
    }, failed);
  }

  /** What is asked now is answered with no earlier time than any that the device knows now. */
  #hears(device: Device): (serverHlc: bigint | undefined) => void {
    const told = this.#told;
    const known = told.get(device.index) ?? 0n;
    return (serverHlc) => {
      if (serverHlc === undefined || told !== this.#told) return;
      if (serverHlc < known) {
        this.#options.violate("serverHlc never goes back", `from ${known} to ${serverHlc}`);
      }
      if (serverHlc > (told.get(device.index) ?? 0n)) told.set(device.index, serverHlc);
    };
  }

  /** A body that comes bit by bit, and perhaps not to its end. */
  #stream(
    device: Device,
    body: ReadableStream<Uint8Array>,
    ends: { from: SimProcess; to: SimProcess; signal: AbortSignal },
  ): ReadableStream<Uint8Array> {
    const { time, trace, cursor } = this.#options;
    const reader = body.getReader();
    const breaks = this.#fault(device.index, "break off")
      ? this.#random[device.index]!.int(1, 4)
      : 0;
    let chunks = 0;
    const later = (run: () => void) => ends.to.at(time.now + this.#latency(device.index), run);
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        // As fetch does with the body of a request that was given up.
        ends.signal.addEventListener("abort", () => controller.error(ends.signal.reason));
      },
      pull: (controller) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const fail = (thrown: unknown): void => {
          later(() => {
            controller.error(thrown);
            resolve();
          });
        };
        const peerGone = (): void => fail(reset("connection reset by peer"));
        if (!ends.from.alive) peerGone();
        const forget = ends.from.onKill(peerGone);
        reader.read().then(({ done, value }) => {
          if (!ends.from.alive) return;
          forget();
          const text = value === undefined ? "" : new TextDecoder().decode(value);
          trace.note(device.name, done ? "checkpoint ends" : "gets of a checkpoint", text);
          if (!done && chunks === 0) {
            const [header] = text.split("\n");
            cursor((JSON.parse(header!) as CheckpointHeader).checkpoint.cursor);
          }
          chunks++;
          const last = chunks === breaks;
          later(() => {
            resolve();
            if (ends.signal.aborted) return;
            if (!last) return done ? controller.close() : controller.enqueue(value);
            trace.count("net break off");
            // In the middle of a line, between two, or with an error.
            const kind = this.#random[device.index]!.int(0, 2);
            if (kind === 0 && value !== undefined) {
              controller.enqueue(value.slice(0, value.length >> 1));
            }
            if (kind === 2) controller.error(reset("broken pipe"));
            else controller.close();
            void reader.cancel();
          });
        }, (thrown) => {
          forget();
          fail(thrown);
        });
        return promise;
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
  }

  #latency(device: number): number {
    const random = this.#random[device]!;
    const share = random.u32() / 2 ** 32;
    return this.#options.latencyMs * share * (random.chance(0.05) ? 20 : 1);
  }

  #late(device: number): number {
    return this.#random[device]!.int(100, LONGEST_MS / 2);
  }
}

/** What `fetch` rejects with where a connection is gone. */
function reset(reason: string): TypeError {
  return new TypeError(reason);
}
