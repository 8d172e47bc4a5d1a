// Pushes that come at once, come again, or fail, on both stores.
import { assert, assertEquals } from "@std/assert";
import { type Delta, err, LakeSyncError, type LogStore, unwrapOrThrow } from "@lakesync/core";
import { insertTodo, Prng, test, withTempDir } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";
import { openSqliteLogStore } from "./store_sqlite.ts";
import {
  ANYONE,
  inTx,
  openGateway,
  pullAll,
  push,
  storeWith,
  withTables,
} from "./testdata/fixture.ts";

type WithStore = (body: (store: LogStore) => Promise<void>) => Promise<void>;

const stores: [name: string, withStore: WithStore][] = [
  ["memory", (body) => body(memoryLogStore())],
  ["sqlite", (body) =>
    withTempDir(async (directory) => {
      const store = unwrapOrThrow(await openSqliteLogStore({ path: `${directory}/log.db` }));
      await body(store);
      await store.close();
    })],
];

function batch(from: number, count: number, clientId = "alice:phone"): Delta[] {
  return Array.from(
    { length: count },
    (_, i) => insertTodo(`${clientId}/${from + i}`, from + i, clientId),
  );
}

for (const [name, withStore] of stores) {
  test(`a push that arrives several times at once is appended once (${name})`, () =>
    withStore(async (store) => {
      const gateway = await openGateway({ store });
      // For a client that the store has never seen, and for one that it knows.
      for (const from of [1, 100]) {
        const deltas = batch(from, 10);
        const answers = await Promise.all(Array.from({ length: 5 }, () => push(gateway, deltas)));
        assertEquals(answers.map(({ accepted }) => accepted).sort(), [0, 0, 0, 0, 10]);
        for (const { accepted, duplicates } of answers) assertEquals(accepted + duplicates, 10);
      }
      assertEquals((await pullAll(gateway)).items.length, 20);
    }));

  test(`pushes of many clients at once keep each its order and its transactions whole (${name})`, () =>
    withStore(async (store) => {
      const gateway = await openGateway({ store });
      const prng = new Prng(42);
      const clients = Array.from({ length: 12 }, (_, i) => `c${i}:x`);
      const made = new Map(clients.map((clientId) => [clientId, [] as string[]]));
      await Promise.all(clients.map(async (clientId) => {
        for (let i = 0; i < 15; i++) {
          const deltas = batch(i * 20 + 1, prng.int(1, 8), clientId);
          const sent = deltas.map((delta) => inTx(delta, `${clientId}-${i}`));
          const answer = await push(gateway, sent, clientId);
          assertEquals(answer.accepted, sent.length);
          made.get(clientId)!.push(...sent.map(({ rowId }) => rowId));
        }
      }));
      const entries = unwrapOrThrow(await store.read(0, { limit: 100_000 }));
      assertEquals(entries.map(({ seq }) => seq), entries.map((_, i) => i + 1));
      for (const [clientId, rowIds] of made) {
        const mine = entries.filter((entry) => entry.clientId === clientId);
        assertEquals(mine.map(({ rowId }) => rowId), rowIds);
      }
      entries.forEach(({ json, seq, txLast }, i) => {
        const next = entries[i + 1];
        const txId = (JSON.parse(json) as Delta).txId;
        const nextTxId = next === undefined ? undefined : (JSON.parse(next.json) as Delta).txId;
        assertEquals(seq === txLast, txId !== nextTxId);
      });
    }));

  test(`a client's last push stays known beyond the trim, with its devices' deltas (${name})`, () =>
    withStore(async (store) => {
      const gateway = await openGateway({ store });
      await push(gateway, batch(1, 3));
      const last = [...batch(10, 2), ...batch(20, 2, "alice:tablet")];
      await push(gateway, last);
      await push(gateway, batch(1, 3, "bob"), "bob");
      unwrapOrThrow(await store.trim({ through: 10 }));
      const again = await push(gateway, last);
      assertEquals([again.accepted, again.duplicates, again.rejected], [0, 4, []]);
      assertEquals(again.seq, 10);
    }));

  test(`a push that the store fails on is refused whole and taken when it is repeated (${name})`, () =>
    withStore(async (store) => {
      let broken = true;
      const flaky = storeWith(await withTables(store), {
        append: (request) =>
          broken
            ? Promise.resolve(err(new LakeSyncError("STORAGE_ERROR", "The disk is full")))
            : store.append(request),
      });
      const gateway = await openGateway({ store: flaky });
      const body = { clientId: "alice:phone", deltas: batch(1, 3) };
      const failed = await gateway.push(body, ANYONE);
      assert(!failed.ok);
      assertEquals(failed.error.code, "STORAGE_ERROR");
      assertEquals(unwrapOrThrow(await store.head()).seq, 0);
      broken = false;
      assertEquals((await push(gateway, body.deltas)).accepted, 3);
    }));
}
