/** A slow network: a way to a server that lets so much of what it says through, and holds the rest. */
import { connect, createServer, type Socket } from "node:net";

/** Such a way. Disposing of it breaks the connections that go through it. */
export interface Gate extends AsyncDisposable {
  /** The URL in the server's place. */
  readonly url: string;
  /** From now on lets so many bytes through, all connections together. */
  hold(bytes: number): void;
  /** Lets all of it through. */
  release(): void;
}

/** Opens a way to a server on this machine. */
export async function openGate(to: string): Promise<Gate> {
  let left = Infinity;
  const sockets = new Set<Socket>();
  /** What is held, in its order: a socket may say something more after it was told to pause. */
  const held: (() => void)[] = [];
  const paused = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(to).port), "127.0.0.1");
    for (const [from, other] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from);
      from.on("error", () => other.destroy());
      from.on("close", () => {
        sockets.delete(from);
        other.destroy();
      });
    }
    client.on("data", (chunk) => void upstream.write(chunk));
    upstream.on("data", (chunk) => {
      left -= chunk.length;
      const pass = (): void => void client.write(chunk);
      if (left >= 0) return pass();
      upstream.pause();
      paused.add(upstream);
      held.push(pass);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    hold(bytes) {
      left = bytes;
    },
    release() {
      left = Infinity;
      for (const pass of held.splice(0)) pass();
      for (const upstream of paused) upstream.resume();
      paused.clear();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
