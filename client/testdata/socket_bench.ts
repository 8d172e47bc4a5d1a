import { type SyncTransport } from "@lakesync/core";
import { FakeSockets, Prng } from "@lakesync/testing";
import { Bench, foreignDelta } from "./bench.ts";
import { webSocketTransport, type WebSocketTransportOptions } from "../mod.ts";

/** A gateway that is reached by sockets and by HTTP, and what came over HTTP. */
export class SocketBench extends Bench {
  readonly sockets: FakeSockets = new FakeSockets({ gateway: this.gateway });
  readonly http: string[] = [];
  /** Whether HTTP requests arrive. */
  reachable = true;

  constructor() {
    super(true);
  }

  transport(options: Partial<WebSocketTransportOptions> = {}): SyncTransport {
    return webSocketTransport({
      url: "http://gateway.test",
      open: this.sockets.open,
      fetch: (request) => {
        this.http.push(new URL(request.url).pathname.split("/").at(-1)!);
        if (!this.reachable) return Promise.reject(new TypeError("no route"));
        return this.gateway.fetch(request);
      },
      scheduler: this.clock,
      random: new Prng(1),
      ...options,
    });
  }

  append(rowId: string): void {
    this.gateway.append([foreignDelta({ rowId, columns: { title: "x", done: false } })]);
  }
}

/** Runs a test's body with such a gateway. */
export async function withSockets(body: (bench: SocketBench) => Promise<void>): Promise<void> {
  const bench = new SocketBench();
  try {
    await body(bench);
  } finally {
    await bench.close();
  }
}

/** A row. */
export function milk(id: string): { id: string; title: string; done: boolean } {
  return { id, title: "Milk", done: false };
}

/** A transport and the ids of the rows that its pulls have delivered. */
export function recorded(transport: SyncTransport): { transport: SyncTransport; rowIds: string[] } {
  const rowIds: string[] = [];
  return {
    rowIds,
    transport: {
      ...transport,
      async pull(request, options) {
        const page = await transport.pull(request, options);
        if (page.ok) {
          for (const item of page.value.deltas) if (item.op !== "OWN") rowIds.push(item.rowId);
        }
        return page;
      },
    },
  };
}
