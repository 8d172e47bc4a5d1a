// Checkpoints that one instance of a gateway writes and others serve.
import { type LogStore, type ObjectStore, unwrapOrThrow } from "@lakesync/core";
import {
  faultyObjectStore,
  insertTodo,
  makeDelta,
  ManualClock,
  memoryObjectStore,
  Prng,
  type StoreFault,
  test,
} from "@lakesync/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Gateway } from "./gateway.ts";
import { memoryLogStore } from "./store_memory.ts";
import { ANYONE, openGateway, pull, push, storeWith, updateTodo } from "./testdata/fixture.ts";

/** A log and a bucket, and instances of one gateway over them. */
class World {
  readonly clock: ManualClock = new ManualClock();
  readonly objects: ObjectStore = memoryObjectStore({ clock: this.clock });
  readonly log: LogStore = memoryLogStore({ clock: this.clock });
  readonly events: string[] = [];
  fault: ((name: string, count: number) => StoreFault | undefined) | undefined;
  scans = 0;
  #instances = 0;

  instance(
    limits: { checkpointLag?: number; retentionMs?: number } = {},
    log: LogStore = this.log,
  ): Promise<Gateway> {
    const { clock } = this;
    return openGateway({
      store: storeWith(log, {
        snapshot: () => {
          this.scans++;
          return log.snapshot();
        },
        close: () => Promise.resolve(),
      }),
      checkpointObjects: faultyObjectStore(
        this.objects,
        ({ name, count }) => this.fault?.(name, count),
      ),
      checkpointCache: { store: memoryObjectStore({ clock }) },
      scheduler: clock,
      random: new Prng(++this.#instances),
      logger: { log: (_level, event) => void this.events.push(event) },
      limits,
    });
  }

  async keys(): Promise<string[]> {
    return unwrapOrThrow(await this.objects.list("")).objects.map(({ key }) => key);
  }

  /** What has happened since this was last asked. */
  told(): string[] {
    return this.events.splice(0).filter((event) => event.startsWith("checkpoint."));
  }
}

async function take(gateway: Gateway, params: { readonly [name: string]: string } = {}) {
  const query = new URLSearchParams({ clientId: "bob", ...params });
  const { lines } = unwrapOrThrow(await gateway.checkpoint(query, { caller: ANYONE }));
  let text = "";
  for await (const part of lines) text += part;
  const [head, ...rows] = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(rows.pop(), { end: { rows: rows.length } });
  const { seq, cursor } = head.checkpoint as { seq: number; cursor: string };
  const byId = (a: { rowId: string }, b: { rowId: string }) => a.rowId < b.rowId ? -1 : 1;
  return { seq, cursor, rows: rows.sort(byId) as { rowId: string; table: string }[] };
}

/** A first sync: what it has seen is nothing. */
const first = { atLeast: "0" };

test("a new instance serves first syncs from what another one wrote, filtered, and pulls go on from there", async () => {
  const w = new World();
  const one = await w.instance();
  await push(one, [insertTodo("a", 1), insertTodo("b", 2), insertTodo("c", 3)]);
  await push(one, [
    updateTodo("b", 4, { note: "later" }),
    makeDelta({
      op: "DELETE",
      table: "todos",
      rowId: "c",
      clientId: "alice",
      columns: [],
      hlc: "5",
    }),
    makeDelta({
      op: "INSERT",
      table: "__proto__",
      rowId: "p",
      clientId: "alice",
      columns: [{ column: "constructor", value: "x" }],
      hlc: "6",
    }),
  ]);
  const made = await take(one, first);
  assertEquals([made.seq, made.rows.map(({ rowId }) => rowId)], [6, ["a", "b", "p"]]);
  await one.close();
  assertEquals(w.told(), ["checkpoint.written"]);

  const two = await w.instance();
  await push(two, [insertTodo("d", 7)]);
  w.scans = 0;
  const all = await take(two, first);
  assertEquals([all.seq, all.rows], [6, made.rows]);
  assertEquals(
    (await take(two, { ...first, tables: "__proto__" })).rows.map(({ rowId }) => rowId),
    [
      "p",
    ],
  );
  assertEquals(w.scans, 0);
  const page = await pull(two, { cursor: all.cursor });
  assertEquals([page.deltas.length, page.seq], [1, 7]);
  // Rules are those of the time at which it is served.
  unwrapOrThrow(
    await two.putRules({
      version: 1,
      buckets: [{
        name: "named",
        tables: ["todos"],
        filters: [{ column: "id", op: "eq", value: "jwt:sub" }],
      }],
    }),
  );
  for (const clientId of ["a", "b", "x"]) {
    const seen = await take(two, { ...first, clientId });
    assertEquals(seen.rows, made.rows.filter(({ rowId }) => rowId === clientId));
  }
  await two.close();
});

test("who needs the newest rows gets them from the log, and nothing is written for it", async () => {
  const w = new World();
  const gateway = await w.instance();
  await push(gateway, [insertTodo("a", 1)]);
  assertEquals((await take(gateway)).seq, 1);
  await gateway.close();
  assertEquals([w.told(), await w.keys()], [[], []]);
});

test("objects that are too far behind are written anew; of the old ones one is kept", async () => {
  const w = new World();
  for (let round = 0; round < 4; round++) {
    const gateway = await w.instance({ checkpointLag: 2 });
    const hlc = round * 3 + 1;
    await push(gateway, [insertTodo(`r${hlc}`, hlc), insertTodo(`r${hlc + 1}`, hlc + 1)]);
    await push(gateway, [insertTodo(`r${hlc + 2}`, hlc + 2)]);
    const { seq, rows } = await take(gateway, first);
    assertEquals([seq, rows.length], [hlc + 2, hlc + 2]);
    await gateway.close();
    assertEquals(w.told(), ["checkpoint.written"]);
    const manifests = (await w.keys()).filter((key) => key.includes("/manifests/"));
    assertEquals(manifests.length, Math.min(round + 1, 2));
    assertEquals((await w.keys()).length, 2 * manifests.length);
  }
});

test("what is of another log, or behind the log's beginning, is not served", async () => {
  const w = new World();
  const one = await w.instance({ retentionMs: 1_000 });
  await push(one, [insertTodo("a", 1)]);
  await take(one, first);
  await w.clock.advance(1);
  await push(one, [insertTodo("b", 2)]);
  await w.clock.advance(1_001);
  await push(one, [insertTodo("c", 3)]);
  assertEquals(unwrapOrThrow(await one.trim()), 2);
  await one.close();
  w.told();
  const two = await w.instance();
  assertEquals((await take(two, first)).seq, 3);
  await two.close();
  assertEquals(w.told(), ["checkpoint.written"]);
  // One of after the trim is good, though the log does not reach back as far as it might lag.
  const three = await w.instance();
  await push(three, [insertTodo("d", 4)]);
  assertEquals((await take(three, first)).seq, 3);
  await three.close();
  assertEquals(w.told(), ["checkpoint.found"]);
  const other = await w.instance({}, memoryLogStore({ clock: w.clock }));
  await push(other, [insertTodo("x", 1)]);
  assertEquals((await take(other, first)).rows.map(({ rowId }) => rowId), ["x"]);
  await other.close();
  assertEquals(w.told(), ["checkpoint.written"]);
  assertEquals((await w.keys()).length, 2, "what was of the log before is removed");
});

test("a damaged object ends its stream early, and the next one comes from the log", async () => {
  for (const damage of ["cut", "gone", "garbage"]) {
    const w = new World();
    const one = await w.instance();
    await push(one, Array.from({ length: 50 }, (_, i) => insertTodo(`r${i}`, i + 1)));
    await take(one, first);
    await one.close();
    const [part] = (await w.keys()).filter((key) => key.includes("/parts/"));
    if (damage === "gone") unwrapOrThrow(await w.objects.delete([part!]));
    else {
      const bytes = unwrapOrThrow(await w.objects.get(part!));
      unwrapOrThrow(
        await w.objects.put(part!, damage === "cut" ? bytes.slice(0, 40) : new Uint8Array(9)),
      );
    }
    const two = await w.instance();
    await assertRejects(() => take(two, first));
    assertEquals((await take(two, first)).rows.length, 50, damage);
    await two.close();
  }
});

test("a bucket that fails at any moment fails no first sync, and what is left of it is removed", async () => {
  for (let at = 1; at <= 5; at++) {
    const w = new World();
    const one = await w.instance();
    await push(one, [insertTodo("a", 1), insertTodo("b", 2)]);
    let calls = 0;
    w.fault = () => ++calls >= at ? "fail" : undefined;
    assertEquals((await take(one, first)).rows.length, 2);
    await one.close();
    w.fault = undefined;
    const two = await w.instance();
    await push(two, [insertTodo("c", 3)]);
    assert((await take(two, first)).rows.length >= 2);
    assertEquals((await take(two)).rows.length, 3);
    await two.close();
    const three = await w.instance({ checkpointLag: 0 });
    await push(three, [insertTodo("d", 4)]);
    await take(three, first);
    await three.close();
    const keys = await w.keys();
    const manifests = keys.filter((key) => key.includes("/manifests/"));
    assertEquals(keys.length, 2 * manifests.length, `failure ${at}: ${keys.join(" ")}`);
  }
});

test("many first syncs at many instances write one set of objects at a time", async () => {
  const w = new World();
  const instances = await Promise.all(Array.from({ length: 4 }, () => w.instance()));
  await push(instances[0]!, Array.from({ length: 300 }, (_, i) => insertTodo(`r${i}`, i + 1)));
  const taken = await Promise.all(
    instances.flatMap((gateway) =>
      [1, 2, 3].map((i) => take(gateway, { ...first, clientId: `c${i}` }))
    ),
  );
  for (const { rows } of taken) assertEquals(rows.length, 300);
  for (const gateway of instances) await gateway.close();
  assert(w.told().filter((event) => event === "checkpoint.written").length >= 1);
  const manifests = (await w.keys()).filter((key) => key.includes("/manifests/"));
  assert(manifests.length <= 2, manifests.join());
});
