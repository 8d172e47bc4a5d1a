import type { PullAnswer, PushAnswer, PushRequest } from "@lakesync/core";
import { Prng } from "../prng.ts";
import { bitByBit, reset } from "./bit_by_bit.ts";
import type { Device } from "./device.ts";
import type { Instance, WireAnswer, WireRequest } from "./instance.ts";
import type { SimProcess } from "./process.ts";
import type { PushWatch } from "./push_watch.ts";
import type { RulesWatch } from "./rules_watch.ts";
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
  /** Told of each push, and of its answer before that is on its way. */
  readonly pushes: PushWatch;
  /** Told of each request, and of all that leaves a gateway. */
  readonly rules: RulesWatch;
  readonly violate: (promise: string, details: string) => void;
}

/** No message is under way for longer, in ms. */
export const LONGEST_MS = 20_000;

/** An answer, and what is known of it. */
type Arrived = WireAnswer & {
  readonly serverHlc?: bigint;
  /** Called with the texts of a checkpoint, which goes out bit by bit, as they leave. */
  readonly leaves?: (text: string) => void;
};

/** A time in which something goes wrong. */
interface Window {
  readonly kind: NetKind;
  readonly chance: number;
  readonly until: number;
}

/** The ways between devices and instances: messages are lost, late, doubled, out of order. */
export class Network {
  /** What it works with. */
  readonly options: NetworkOptions;
  readonly #random: Prng[] = [];
  readonly #windows: Window[][] = [];
  /** Until when a device does not reach an instance. */
  readonly #cuts = new Map<string, number>();
  /** The greatest time that a device was told, until the store is another one. */
  #told = new Map<number, bigint>();

  constructor(options: NetworkOptions, devices: number) {
    this.options = options;
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
  fault(device: number, kind: NetKind): boolean {
    const { now } = this.options.time;
    const random = this.#random[device]!;
    return this.#windows[device]!.some((window) =>
      window.kind === kind && window.until > now && random.chance(window.chance)
    );
  }

  /** Whether a device does not reach an instance now. */
  isCut(device: number, instance: number): boolean {
    const { time, trace } = this.options;
    const cut = (this.#cuts.get(`${device} ${instance}`) ?? 0) > time.now;
    if (cut) trace.count("partition");
    return cut;
  }

  /** The instance that a device's next request goes to: one that is up, where there is one. */
  pick(device: number): Instance {
    const { instances } = this.options;
    const up = instances.filter((instance) => instance.process !== undefined);
    return this.#random[device]!.pick(up.length > 0 ? up : instances);
  }

  /** One of so many ways in which something goes on a device's way. */
  draw(device: number, count: number): number {
    return this.#random[device]!.int(0, count - 1);
  }

  /** Brings a request to an instance and its answer back; rejects as fetch does. */
  async send(device: Device, process: SimProcess, request: Request): Promise<Response> {
    const { time, trace } = this.options;
    const text = request.method === "POST" ? await request.text() : undefined;
    const { method, url, headers, signal } = request;
    // As fetch does with one that was given up before.
    if (signal.aborted) throw new DOMException("The request was stopped", "AbortError");
    const wire: WireRequest = { method, url, headers, body: text };
    const random = this.#random[device.index]!;
    const instance = this.pick(device.index);
    const what = `${method} ${new URL(url).pathname.split("/").at(-1)}`;
    trace.note(device.name, `sends ${what} to ${instance.name}`, text ?? new URL(url).search);
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    promise.catch(() => {});
    const back = (ms: number, run: () => void) => process.at(time.now + ms, run);
    const lose = (reason: string) => back(this.latency(device.index), () => reject(reset(reason)));
    // What the device gives up, the instance is told, as by a closed connection.
    const closed = new AbortController();
    signal.addEventListener("abort", () => {
      reject(new DOMException("The request was stopped", "AbortError"));
      time.at(time.now + this.latency(device.index), () => closed.abort());
    });
    const cut = this.isCut(device.index, instance.index);
    if (this.fault(device.index, "drop request") || (cut && random.chance(0.5))) {
      trace.count("net drop request");
      return await promise;
    }
    if (cut) {
      lose("no route to host");
      return await promise;
    }
    if (this.fault(device.index, "duplicate")) {
      trace.count("net duplicate");
      const late = this.late(device.index);
      time.at(time.now + late, () => void this.#arrive(device, instance, wire, { what }));
    }
    const ms = this.fault(device.index, "delay")
      ? this.late(device.index)
      : this.latency(device.index);
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
    const { trace, pushes, rules } = this.options;
    const { process, clock } = instance;
    if (process === undefined) return undefined;
    trace.note(instance.name, `gets ${context.what} of ${device.name}`);
    const query = new URL(wire.url).searchParams;
    const token = wire.headers.get("authorization")?.slice("Bearer ".length);
    const seen = rules.arrived({ token, query }, { process, clock });
    const push = wire.body === undefined
      ? undefined
      : pushes.arrived(JSON.parse(wire.body) as PushRequest, seen);
    const answer = instance.answer(wire, context.signal).then(
      async (answer): Promise<Arrived> => {
        if (!process.alive) return answer;
        rules.answered(seen, answer.status);
        if (wire.url.includes("/checkpoint?") && answer.status === 200) {
          return { ...answer, leaves: rules.checkpoint(seen) };
        }
        if (answer.body === null) return answer;
        const text = await new Response(answer.body).text();
        if (!process.alive) return answer;
        trace.note(instance.name, `answers ${answer.status} to ${device.name}`, text);
        this.#judge(answer.status, text);
        const whole = { ...answer, body: new Response(text).body };
        const cursor = query.get("cursor") ?? "";
        if (answer.status === 410) rules.refused(seen, cursor, reasonOf(text));
        // One that failed may still come to the log.
        if (push !== undefined && answer.status >= 400 && answer.status < 500) pushes.refused(push);
        if (answer.status !== 200) return whole;
        const value = JSON.parse(text) as PushAnswer & PullAnswer;
        if (push !== undefined) pushes.answered(push, value);
        else rules.page(seen, cursor, value);
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
    this.options.violate("a gateway does not fail by itself", `${status} ${code}: ${text}`);
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
    const { time, trace } = this.options;
    const forget = arrived.process.onKill(() => void to.lose("connection reset by peer"));
    const failed = (): void => {
      forget();
      to.lose("connection reset by peer");
    };
    arrived.answer.then(async (answer) => {
      if (!arrived.process.alive) return;
      forget();
      if (this.fault(device.index, "drop answer")) return trace.count("net drop answer");
      if (this.fault(device.index, "reset")) {
        trace.count("net reset");
        return void to.lose("connection reset by peer");
      }
      const { leaves } = answer;
      const body = leaves !== undefined && answer.body !== null
        ? bitByBit(answer.body, {
          network: this,
          device,
          from: arrived.process,
          to: to.process,
          signal: to.signal,
          leaves,
        })
        : answer.body === null
        ? null
        : await new Response(answer.body).text();
      const { status, headers } = answer;
      const ms = this.fault(device.index, "delay")
        ? this.late(device.index)
        : this.latency(device.index);
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
        this.options.violate("serverHlc never goes back", `from ${known} to ${serverHlc}`);
      }
      if (serverHlc > (told.get(device.index) ?? 0n)) told.set(device.index, serverHlc);
    };
  }

  /** How long something is under way. */
  latency(device: number): number {
    const random = this.#random[device]!;
    const share = random.u32() / 2 ** 32;
    return this.options.latencyMs * share * (random.chance(0.05) ? 20 : 1);
  }

  /** How long something is under way that is late. */
  late(device: number): number {
    return this.#random[device]!.int(100, LONGEST_MS / 2);
  }
}

/** Why a gateway asks for a checkpoint. */
function reasonOf(text: string): unknown {
  return (JSON.parse(text) as { error: { details?: { reason?: unknown } } }).error.details?.reason;
}
