import { setImmediate } from "node:timers";
import type { Delta, PushAnswer, PushRequest, RowState } from "@lakesync/core";
import type { ManualClock } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import type { History } from "./history.ts";
import type { Machine } from "./machine.ts";

/** What goes wrong with a request. */
export type NetworkFault =
  | "none"
  | "lose request"
  | "lose answer"
  /** The gateway gets it twice, one after the other; the second answer is the one that arrives. */
  | "repeat"
  /** The gateway dies when it has answered. */
  | "kill after"
  /** The gateway dies so many turns of the event loop after the request came. */
  | { readonly killAfterTurns: number }
  | Break;

/** The answer breaks off at this share of it, with an error or as if that were all. */
interface Break {
  readonly keep: number;
  /** Where it is of several lines: between two of them. */
  readonly wholeLines: boolean;
  readonly error: boolean;
}

interface LastPush {
  readonly body: string;
  readonly answer: PushAnswer;
}

/** The way between the clients and the gateway. */
export class Network {
  readonly #machine: Machine;
  readonly #history: History;
  readonly #clock: ManualClock;
  /** What goes wrong with the next requests; "none" when it is used up. */
  faults: NetworkFault[] = [];
  readonly #lastPushes = new Map<string, LastPush>();
  /** The rejections that answers told, by the delta's id. */
  readonly rejections: Map<string, string> = new Map();
  /** What a client takes for a lost connection though it is a failed assertion. */
  readonly failures: unknown[] = [];

  constructor(options: { machine: Machine; history: History; clock: ManualClock }) {
    this.#machine = options.machine;
    this.#history = options.history;
    this.#clock = options.clock;
  }

  /** Brings a request to the gateway. */
  async fetch(request: Request): Promise<Response> {
    try {
      return await this.#send(request);
    } catch (thrown) {
      if (!(thrown instanceof Lost)) this.failures.push(thrown);
      throw thrown;
    }
  }

  async #send(request: Request): Promise<Response> {
    const body = request.method === "POST" ? await request.text() : undefined;
    const fault = this.faults.shift() ?? "none";
    if (fault === "lose request") throw new Lost();
    if (fault === "repeat") await this.#deliver(request, body);
    if (typeof fault === "object" && "killAfterTurns" in fault) {
      const answering = this.#deliver(request, body).catch(() => undefined);
      await turns(fault.killAfterTurns);
      await this.#machine.kill();
      await answering;
      throw new Lost();
    }
    const response = await this.#deliver(request, body);
    if (fault === "kill after") await this.#machine.kill();
    if (fault === "lose answer" || fault === "kill after") throw new Lost();
    return typeof fault === "object" ? breakOff(response, fault) : response;
  }

  /** The gateway gets a client's last push once more, long after; nobody waits for the answer. */
  async repeatLastPush(clientId: string): Promise<void> {
    const last = this.#lastPushes.get(clientId);
    if (last === undefined || last.answer.rejected.length > 0) return;
    const request = new Request("http://gateway/v1/sync/main/push", { method: "POST" });
    const response = await this.#deliver(request, last.body);
    const again = await response.json() as PushAnswer;
    assertEquals(again.accepted, 0, "a repetition of the last push is all duplicates");
  }

  async #deliver(request: Request, body: string | undefined): Promise<Response> {
    await this.#machine.running();
    const { handler, store } = this.#machine;
    const push = request.url.endsWith("/push") ? JSON.parse(body!) as PushRequest : undefined;
    if (push !== undefined) await this.#history.read(store);
    const before = push?.deltas.map((delta) => this.#history.held(delta));
    const response = await handler.fetch(
      new Request(request.url, {
        method: request.method,
        signal: request.signal,
        ...(body !== undefined && { body }),
      }),
    );
    const bytes = await response.arrayBuffer().catch((thrown: unknown) => {
      // The stream of a process that was killed just ends.
      throw this.#machine.store === store ? thrown : new Lost();
    });
    if (this.#machine.store !== store) throw new Lost();
    if (push !== undefined) {
      await this.#history.read(store);
      if (response.ok) {
        const answer = JSON.parse(new TextDecoder().decode(bytes)) as PushAnswer;
        this.#judge(push.deltas, { answer, before: before! });
        this.#lastPushes.set(push.clientId, { body: body!, answer });
      }
    }
    return new Response(bytes, { status: response.status, headers: response.headers });
  }

  #judge(
    deltas: readonly Delta[],
    context: { answer: PushAnswer; before: readonly (RowState | undefined)[] },
  ): void {
    const now = this.#clock.now();
    for (const rejection of context.answer.rejected) {
      const fault = this.#history.rejectionFault(deltas, { ...context, rejection, now });
      assertEquals(fault, undefined, `${rejection.code}: ${fault}`);
      this.rejections.set(rejection.deltaId, rejection.code);
    }
  }
}

const NEWLINE = 10;

/** Lets so many turns of the event loop pass. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** What `fetch` rejects with where the connection is gone. */
class Lost extends TypeError {
  constructor() {
    super("connection reset");
  }
}

async function breakOff(response: Response, fault: Break): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  let end = Math.floor(bytes.length * fault.keep);
  if (fault.wholeLines && bytes.indexOf(NEWLINE) < end) end = bytes.lastIndexOf(NEWLINE, end) + 1;
  const kept = bytes.subarray(0, end);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let i = 0; i < kept.length; i += 50) controller.enqueue(kept.slice(i, i + 50));
      if (fault.error) controller.error(new Lost());
      else controller.close();
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}
