import { assert, assertEquals } from "@std/assert";
import {
  compareHlc,
  type Delta,
  isDelta,
  packHlc,
  type PullAnswer,
  type PushAnswer,
} from "@lakesync/core";
import {
  makeDelta,
  Prng,
  type ScriptProcess,
  spawnScript,
  test,
  withTempDir,
} from "@lakesync/testing";
import { nextTurn } from "./turn.ts";

const CHILD = new URL("./testdata/serve_child.ts", import.meta.url);
const KILLS = 26;
const CLIENTS = ["alice:phone", "bob:laptop", "carol:tablet", "dave:watch"];

interface Server {
  readonly process: ScriptProcess;
  readonly url: string;
}

async function start(path: string): Promise<Server> {
  const process = spawnScript(CHILD, { args: [path] });
  const line = await process.nextJson() as { url: string } | undefined;
  assert(line !== undefined, process.stderr);
  return { process, url: line.url };
}

/** The parsed answer; undefined where the server was killed before all of it had come. */
async function ask<T>(url: string, init?: RequestInit): Promise<T | undefined> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch {
    return undefined;
  }
  assertEquals(response.status, 200, text);
  return JSON.parse(text) as T;
}

/** One device: it makes pushes, and repeats the one that was not answered unchanged. */
class Device {
  readonly clientId: string;
  readonly #prng: Prng;
  #made = 0;
  #unanswered: Delta[] | undefined;
  /** Ids of what was acknowledged. */
  readonly acknowledged: Set<string> = new Set();
  /** How many of its pushes were there already when they were repeated. */
  repeatedDuplicates = 0;
  repeatedFresh = 0;
  #repeats = false;
  serverHlc = "0";

  constructor(clientId: string, prng: Prng) {
    this.clientId = clientId;
    this.#prng = prng;
  }

  #make(): Delta[] {
    const deltas: Delta[] = [];
    const count = this.#prng.int(1, 30);
    while (deltas.length < count) {
      const txId = this.#prng.chance(0.5) ? `${this.clientId}-${this.#made}` : undefined;
      for (let left = txId === undefined ? 1 : this.#prng.int(2, 6); left > 0; left--) {
        const n = this.#made++;
        deltas.push(makeDelta({
          op: "INSERT",
          table: "todos",
          rowId: `${this.clientId}/${n}`,
          clientId: this.clientId,
          hlc: packHlc({ wallMs: 1_700_000_000_000 + n, counter: 0 }),
          columns: [
            { column: "title", value: "x".repeat(this.#prng.int(0, 2_000)) },
            { column: "done", value: n % 2 === 0 },
          ],
          ...(txId !== undefined && { txId }),
        }));
      }
    }
    return deltas;
  }

  /** Pushes; false where no answer came. */
  async push(url: string): Promise<boolean> {
    const deltas = this.#unanswered ??= this.#make();
    const answer = await ask<PushAnswer>(`${url}/v1/sync/default/push`, {
      method: "POST",
      body: JSON.stringify({ clientId: this.clientId, deltas }),
    });
    if (answer === undefined) {
      this.#repeats = true;
      return false;
    }
    assertEquals(answer.rejected, []);
    assertEquals(answer.accepted + answer.duplicates, deltas.length);
    // Its first try was appended whole or not at all.
    assert(answer.accepted === 0 || answer.duplicates === 0, JSON.stringify(answer));
    if (this.#repeats) {
      if (answer.accepted === 0) this.repeatedDuplicates++;
      else this.repeatedFresh++;
    } else assertEquals(answer.duplicates, 0);
    this.#repeats = false;
    for (const { deltaId } of deltas) this.acknowledged.add(deltaId);
    this.#unanswered = undefined;
    assert(compareHlc(answer.serverHlc, this.serverHlc) >= 0, "serverHlc went back");
    this.serverHlc = answer.serverHlc;
    return true;
  }
}

/** Follows the log over all restarts with one cursor. */
class Watcher {
  cursor = "";
  readonly deltas: Delta[] = [];

  async catchUp(url: string): Promise<void> {
    for (let more = true; more;) {
      const page = await ask<PullAnswer>(
        `${url}/v1/sync/default/pull?clientId=watcher&limit=10000&cursor=${this.cursor}`,
      );
      assert(page !== undefined);
      this.deltas.push(...page.deltas.filter(isDelta));
      // Each entry is one new row: as many items as seqs means that no seq is missing.
      assertEquals(page.seq, this.deltas.length);
      this.cursor = page.cursor;
      more = page.hasMore;
    }
  }

  check(devices: readonly Device[]): void {
    const ids = new Set(this.deltas.map(({ deltaId }) => deltaId));
    assertEquals(ids.size, this.deltas.length, "a delta is there twice");
    for (const { acknowledged } of devices) {
      for (const id of acknowledged) assert(ids.has(id), "an acknowledged delta is lost");
    }
  }
}

test({
  name: "a gateway killed at random moments of pushes loses and doubles no acknowledged delta",
  timeoutMs: 360_000,
}, () =>
  withTempDir(async (directory) => {
    const prng = new Prng(42);
    const path = `${directory}/log.db`;
    const devices = CLIENTS.map((clientId, i) => new Device(clientId, new Prng(i)));
    const watcher = new Watcher();
    for (let kill = 0; kill < KILLS; kill++) {
      const server = await start(path);
      await using _ = server.process;
      await watcher.catchUp(server.url);
      watcher.check(devices);
      let answers = 0;
      const killAt = prng.int(0, 60);
      const turns = prng.int(0, 300);
      let dead: Promise<unknown> | undefined;
      const killSoon = async (): Promise<void> => {
        for (let i = 0; i < turns; i++) await new Promise<void>(nextTurn);
        await server.process.kill();
      };
      await Promise.all(devices.map(async (device) => {
        for (;;) {
          if (answers >= killAt) dead ??= killSoon();
          if (!await device.push(server.url)) return;
          answers++;
        }
      }));
      await dead;
    }
    const { process, url } = await start(path);
    await using _ = process;
    for (const device of devices) {
      assert(await device.push(url));
      assert(await device.push(url));
    }
    await watcher.catchUp(url);
    watcher.check(devices);
    const made = devices.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
    assertEquals(watcher.deltas.length, made, "nothing is there that was not pushed");
    const again = new Watcher();
    await again.catchUp(url);
    assertEquals(
      again.deltas.map(({ deltaId }) => deltaId),
      watcher.deltas.map(({ deltaId }) => deltaId),
    );
    // The kills did hit pushes, some before and some after their commit.
    const duplicates = devices.reduce((sum, device) => sum + device.repeatedDuplicates, 0);
    const fresh = devices.reduce((sum, device) => sum + device.repeatedFresh, 0);
    assert(duplicates + fresh >= KILLS, `${duplicates} + ${fresh}`);
  }));
