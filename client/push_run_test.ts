import {
  type Delta,
  type PushRequest,
  type SqlDatabase,
  type SyncTransport,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import type { Client } from "./mod.ts";
import { type Bench, rowsOf, type Todos, withBench } from "./testdata/bench.ts";

const AUTO = { auto: true, intervalMs: 5_000 };

/** The bench's gateway, whose pushes wait at a gate. */
class Gate {
  /** The rows of each push that went out. */
  readonly sent: string[][] = [];
  readonly transport: SyncTransport;
  open = true;
  #waiting: (() => void)[] = [];
  #underWay = 0;

  constructor({ gateway }: Bench) {
    this.transport = {
      live: true,
      push: async (request: PushRequest, options) => {
        assertEquals(++this.#underWay, 1, "two pushes are under way at once");
        this.sent.push(request.deltas.map(({ rowId }) => rowId));
        if (!this.open) await new Promise<void>((resolve) => this.#waiting.push(resolve));
        const answer = await gateway.push(request, options);
        this.#underWay--;
        return answer;
      },
      pull: (request, options) => gateway.pull(request, options),
      checkpoint: (request, options) => gateway.checkpoint(request, options),
    };
  }

  /** Lets the push through that waits. */
  pass(): void {
    for (const pass of this.#waiting.splice(0)) pass();
  }
}

interface Live {
  readonly bench: Bench;
  readonly gate: Gate;
  readonly client: Client<Todos>;
  readonly database: SqlDatabase;
}

/** A live client, once it is in step with its gateway. */
function withLive(body: (live: Live) => Promise<void>): Promise<void> {
  return withBench(async (bench) => {
    const gate = new Gate(bench);
    const database = await bench.database();
    const client = await bench.client({ database, transport: gate.transport, sync: AUTO });
    await bench.clock.advance(0);
    await body({ bench, gate, client, database });
  }, { live: true });
}

async function insert(client: Client<Todos>, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    unwrapOrThrow(await client.tables.todos.insert({ id, title: "Milk", done: false }));
  }
}

/** State and tries of each own delta. */
async function states(database: SqlDatabase): Promise<unknown[]> {
  const sql = "SELECT state, tries FROM lakesync_own ORDER BY ord";
  return unwrapOrThrow(await database.query(sql)).map((row) => Object.values(row));
}

const [UNSENT, FLYING, SETTLED] = [0, 1, 4];

test("what is written while a push is under way is flying with its own commit, and follows when that is answered", () =>
  withLive(async ({ bench, gate, client, database }) => {
    gate.open = false;
    await insert(client, "1", "2", "3");
    await bench.clock.advance(0);
    assertEquals(gate.sent, [["1"]]);
    assertEquals(await states(database), [[FLYING, 1], [FLYING, 1], [FLYING, 1]]);
    gate.pass();
    await bench.clock.advance(0);
    assertEquals(gate.sent, [["1"], ["2", "3"]]);
    await insert(client, "4");
    gate.pass();
    await bench.clock.advance(0);
    gate.pass();
    await bench.clock.advance(0);
    assertEquals(gate.sent, [["1"], ["2", "3"], ["4"]]);
    assertEquals(await states(database), new Array(4).fill([SETTLED, 1]));
    assertEquals([client.status.outbox, client.status.state], [0, "idle"]);
  }));

test("what follows a push that fails is as if never sent, and goes up after it", () =>
  withLive(async ({ bench, gate, client, database }) => {
    gate.open = false;
    bench.gateway.fault = ({ kind }) => kind === "push" ? { fault: "lose-answer" } : undefined;
    await insert(client, "1", "2");
    gate.pass();
    await bench.clock.advance(0);
    assertEquals(await states(database), [[FLYING, 1], [UNSENT, 0]]);
    bench.gateway.fault = () => undefined;
    gate.open = true;
    await bench.clock.advance(1_000);
    assertEquals(gate.sent, [["1"], ["1"], ["2"]]);
    assertEquals(bench.gateway.accepted.map(({ rowId }) => rowId), ["1", "2"]);
  }));

test("what follows a push of which something is rejected is stamped anew with the rest, in order", () =>
  withLive(async ({ bench, gate, client }) => {
    gate.open = false;
    let refused = 0;
    bench.gateway.reject = () => refused++ === 0 ? "CLOCK_DRIFT" : undefined;
    await insert(client, "1");
    await client.transaction(async ({ tables: { todos } }) => {
      await todos.insert({ id: "2", title: "Milk", done: false });
      await todos.update("1", { title: "Bread" });
    });
    gate.open = true;
    gate.pass();
    await bench.clock.advance(0);
    assertEquals(bench.gateway.accepted.map(({ op, rowId }) => `${op} ${rowId}`), [
      "INSERT 1",
      "INSERT 2",
      "UPDATE 1",
    ]);
    const stamps = bench.gateway.accepted.map(({ hlc }) => hlc);
    assertEquals(stamps, [...stamps].sort());
    assertEquals(await rowsOf(client, "SELECT id, title FROM todos ORDER BY id"), [
      ["1", "Bread"],
      ["2", "Milk"],
    ]);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
  }));

test("after a crash all that was flying goes up as one push, in order and each once", () =>
  withLive(async ({ bench, gate, client, database }) => {
    gate.open = false;
    await insert(client, "1", "2", "3");
    // As the crash leaves it: the first push has arrived, its answer has not.
    const { request } = bench.gateway.requests.at(-1)!;
    const [first] = unwrapOrThrow(await database.query("SELECT json FROM lakesync_own LIMIT 1"));
    const deltas = [JSON.parse(first!.json as string) as Delta];
    unwrapOrThrow(await bench.gateway.push({ clientId: request.clientId, deltas }));
    const copy = await bench.database();
    const tables = ["lakesync_own_state", "lakesync_own_json"];
    const other = await bench.client({ database: copy, clientId: client.clientId });
    await other.close();
    for (const table of tables) {
      const rows = unwrapOrThrow(await database.query(`SELECT * FROM ${table}`));
      unwrapOrThrow(
        await copy.transaction(async (tx) => {
          for (const row of rows) {
            const marks = Object.keys(row).map(() => "?").join();
            await tx.run(`INSERT INTO ${table} VALUES (${marks})`, Object.values(row));
          }
        }),
      );
    }
    assertEquals(await states(copy), new Array(3).fill([FLYING, 1]));
    bench.gateway.fault = () => ({ fault: "lose-request" });
    gate.pass();
    await client.close();
    bench.gateway.fault = () => undefined;
    gate.open = true;
    const after = await bench.client({
      database: copy,
      transport: gate.transport,
      clientId: client.clientId,
    });
    unwrapOrThrow(await after.syncOnce());
    assertEquals(gate.sent, [["1"], ["1", "2", "3"]]);
    assertEquals(bench.gateway.accepted.map(({ rowId }) => rowId), ["1", "2", "3"]);
    assertEquals(unwrapOrThrow(await after.pending()), 0);
  }));

test("the next part of a long outbox is made ready while a part is under way", () =>
  withBench(async (bench) => {
    const gate = new Gate(bench);
    const database = await bench.database();
    const client = await bench.client({ database, transport: gate.transport });
    unwrapOrThrow(await client.syncOnce());
    const rows = Array.from({ length: 5_000 }, (_, i) => ({ title: `${i}`, done: false }));
    unwrapOrThrow(await client.import("todos", rows));
    gate.open = false;
    const synced = client.syncOnce();
    const flying = async () =>
      (await states(database)).filter((state) => `${state}` === "1,1").length;
    for (const [sent, ahead] of [[1, 4_000], [2, 3_000], [3, 1_000]] as const) {
      await bench.clock.advance(0);
      assertEquals(gate.sent.length, sent);
      assertEquals(await flying(), ahead);
      gate.pass();
    }
    assertEquals(unwrapOrThrow(await synced).pushed, 5_000);
    assertEquals(gate.sent.map(({ length }) => length), [2_000, 2_000, 1_000]);
    const titles = bench.gateway.accepted.map(({ columns }) => columns[0]!.value);
    assertEquals(titles, rows.map(({ title }) => title));
  }));

test("more is not made flying than one push can repeat", () =>
  withLive(async ({ bench, gate, client, database }) => {
    gate.open = false;
    const rows = Array.from({ length: 12_000 }, (_, i) => ({ title: `${i}`, done: false }));
    unwrapOrThrow(await client.import("todos", rows));
    const flying = (await states(database)).filter((state) => `${state}` === "1,1").length;
    assert(flying > 4_000 && flying <= 8_000, `${flying}`);
    gate.open = true;
    gate.pass();
    await bench.clock.advance(0);
    assertEquals(bench.gateway.accepted.length, 12_000);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
  }));
