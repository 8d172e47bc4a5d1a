import { connect, createServer, type Socket } from "node:net";

/** Where the proxy breaks a connection: before the server gets a COMMIT, or before its answer comes. */
export type CommitFault = "before" | "after";

/** Stands between a gateway and its database, and breaks connections off at a commit. */
export class PostgresProxy implements AsyncDisposable {
  /** What happens to the next commit; undefined for nothing. */
  fault: CommitFault | undefined;
  /** The database's URL through the proxy. */
  readonly url: string;
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  /** Starts one before a database. */
  static async start(database: string): Promise<PostgresProxy> {
    const target = new URL(database);
    const sockets = new Set<Socket>();
    const listening = Promise.withResolvers<number>();
    const server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      const cut = () => {
        client.destroy();
        upstream.destroy();
      };
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on("error", cut);
        socket.on("close", () => {
          sockets.delete(socket);
          cut();
        });
      }
      // A text that ends a statement, or the answer to it, is in one piece: both are short.
      const forward = (from: Socket, to: Socket, fault: CommitFault) =>
        from.on("data", (data) => {
          if (proxy.fault === fault && String(data).includes("COMMIT\0")) {
            proxy.fault = undefined;
            cut();
          } else to.write(data);
        });
      forward(client, upstream, "before");
      forward(upstream, client, "after");
    });
    server.listen(0, "127.0.0.1", () => {
      listening.resolve((server.address() as { port: number }).port);
    });
    const url = new URL(database);
    url.port = String(await listening.promise);
    const proxy = new PostgresProxy(url.href, () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return closed;
    });
    return proxy;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
