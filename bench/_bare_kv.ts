import { type Delta, unwrapOrThrow } from "@lakesync/core";
import { type KvDatabase, openDenoKv } from "@lakesync/gateway";

/** What Deno KV costs with nothing around it: a push's texts and its rows, durable. */
export class BareKv {
  readonly #kv: KvDatabase;
  readonly #encoder = new TextEncoder();
  #pushes = 0;

  private constructor(kv: KvDatabase) {
    this.#kv = kv;
  }

  /** Opens a file. */
  static async open(path: string): Promise<BareKv> {
    return new BareKv(unwrapOrThrow(await openDenoKv({ path })));
  }

  /** Writes a push: its JSON in pieces, and each row's under its key. */
  async push(deltas: readonly Delta[]): Promise<void> {
    const push = this.#pushes++;
    const texts = deltas.map((delta) => JSON.stringify(delta));
    const bytes = this.#encoder.encode(texts.join("\n"));
    let atomic = this.#kv.atomic();
    for (let at = 0; at < bytes.length; at += 60_000) {
      atomic.set(["log", push, at], bytes.slice(at, at + 60_000));
    }
    for (const [i, { rowId }] of deltas.entries()) {
      // The keys of an atomic may have 80 KiB, its values and keys 800 KiB.
      if (i > 0 && i % 800 === 0) {
        await atomic.commit();
        atomic = this.#kv.atomic();
      }
      atomic.set(["row", rowId], this.#encoder.encode(texts[i]));
    }
    await atomic.commit();
  }

  /** Closes the file. */
  close(): void {
    this.#kv.close();
  }
}
