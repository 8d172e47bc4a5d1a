import { assert, assertEquals } from "@std/assert";
import { type Delta, unwrapOrThrow } from "@lakesync/core";
import {
  appendRequest,
  Prng,
  type ScriptProcess,
  spawnScript,
  test,
  withTempDir,
} from "@lakesync/testing";
import { openDenoKv } from "./kv_open_deno.ts";
import { kvLogStore } from "./store_kv.ts";
import { checkLog, checkNoGarbage } from "./testdata/check_kv.ts";
import { makePush } from "./testdata/kv_pushes.ts";

const CHILD = new URL("./testdata/kv_child.ts", import.meta.url);
const ROUNDS = 12;

/** A client whose process is killed again and again; it goes on behind its last answered push. */
class Client {
  readonly clientId: string;
  answered = 0;

  constructor(clientId: string) {
    this.clientId = clientId;
  }

  start(path: string): ScriptProcess {
    // The one that was not answered is repeated.
    return spawnScript(CHILD, { args: [path, this.clientId, String(this.answered + 1)] });
  }

  /** Counts answers, and kills the process after so many. */
  async run(child: ScriptProcess, answers: number): Promise<void> {
    for (let i = 0; i < answers; i++) {
      const line = await child.nextJson() as { answered: number } | undefined;
      assert(line !== undefined, child.stderr);
      this.answered = line.answered;
    }
    await child.kill();
    // What it still said is answered too.
    for (let line; (line = await child.nextJson()) !== undefined;) {
      this.answered = (line as { answered: number }).answered;
    }
  }
}

test({
  name: "two processes that append to one KV file and are killed at random lose and double nothing",
  timeoutMs: 360_000,
}, () =>
  withTempDir(async (directory) => {
    const path = `${directory}/log.kv`;
    const prng = new Prng(42);
    const clients = [new Client("alice"), new Client("bob")];
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(clients.map(async (client) => {
        await using child = client.start(path);
        await client.run(child, prng.int(1, 12));
      }));
    }
    const kv = unwrapOrThrow(await openDenoKv({ path }));
    const hour = 60 * 60_000;
    const store = unwrapOrThrow(await kvLogStore({ kv, clock: { now: () => Date.now() + hour } }));
    const answeredBefore = unwrapOrThrow(await store.head()).seq;
    // The push that was under way is repeated; it is there whole or not at all.
    for (const { clientId, answered } of clients) {
      const last = makePush(clientId, answered + 1);
      const outcome = unwrapOrThrow(await store.append(appendRequest(last, { clientId })));
      const added = outcome.first === undefined ? 0 : outcome.head.seq - outcome.first + 1;
      assert(added === 0 || added === last.length, `${added} of ${last.length}`);
    }
    assert(answeredBefore > 0);
    const deltas = await checkLog(store);
    for (const { clientId, answered } of clients) {
      const pushed: Delta[] = [];
      for (let n = 1; n <= answered + 1; n++) pushed.push(...makePush(clientId, n));
      // Each once, in the order in which they were pushed.
      assertEquals(deltas.filter((delta) => delta.clientId === clientId), pushed);
    }
    unwrapOrThrow(await store.trim({ through: 0 }));
    await checkNoGarbage(kv);
    await store.close();
    kv.close();
  }));
