import { defineTable, type Delta, string, type SyncTransport, unwrapOrThrow } from "@lakesync/core";
import { type GatewayRequest, test } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Bench, codeOf, foreignDelta, rowsOf, todos, withBench } from "./testdata/bench.ts";
import { type ClientEvents, createClient } from "./mod.ts";

/** The deltas of each push that reached the gateway. */
function pushes(bench: Bench): readonly (readonly Delta[])[] {
  return bench.gateway.requests.flatMap((r) => r.kind === "push" ? [r.request.deltas] : []);
}

/** Lets only the nth request of a kind go wrong, by losing its answer. */
function loseAnswer(bench: Bench, kind: GatewayRequest["kind"], nth = 1): void {
  let seen = 0;
  bench.gateway.fault = (request) =>
    request.kind === kind && ++seen === nth ? { fault: "lose-answer" } : undefined;
}

test("syncOnce() pulls, pushes, pulls what that brought, and tells what it did", () =>
  withBench(async (bench) => {
    const a = await bench.client();
    const b = await bench.client();
    unwrapOrThrow(await a.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    assertEquals(unwrapOrThrow(await a.syncOnce()), {
      pulled: 1,
      checkpointRows: 0,
      pushed: 1,
      duplicates: 0,
      rejected: 0,
      seq: 1,
    });
    assertEquals(bench.gateway.requests.map(({ kind }) => kind), [
      "checkpoint",
      "pull",
      "push",
      "pull",
    ]);
    assertEquals(unwrapOrThrow(await b.syncOnce()).checkpointRows, 1);
    assertEquals(await rowsOf(b), [["1", "Milk", 0, null]]);
    unwrapOrThrow(await b.tables.todos.update("1", { done: true }));
    unwrapOrThrow(await a.tables.todos.update("1", { title: "Bread" }));
    for (const client of [b, a, b]) unwrapOrThrow(await client.syncOnce());
    for (const client of [a, b]) assertEquals(await rowsOf(client), [["1", "Bread", 1, null]]);
  }));

test("syncOnce() asks only for the app's own tables", () =>
  withBench(async (bench) => {
    const tags = defineTable("tags", { name: string() });
    bench.gateway.setTables([todos.schema, tags.schema]);
    const tag = (rowId: string, hlc: string) =>
      foreignDelta({ table: "tags", rowId, hlc, columns: { name: rowId } });
    bench.gateway.append([tag("red", "10")]);
    const client = await bench.client();
    assertEquals(unwrapOrThrow(await client.syncOnce()).checkpointRows, 0);
    bench.gateway.append([tag("blue", "11")]);
    assertEquals(unwrapOrThrow(await client.syncOnce()).pulled, 0);
    for (const { kind, request } of bench.gateway.requests) {
      if (kind !== "push") assertEquals("tables" in request ? request.tables : [], ["todos"]);
    }
  }));

test("syncOnce() pages until there is no more", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.syncOnce());
    bench.gateway.append(
      Array.from({ length: 2_500 }, (_, i) =>
        foreignDelta({ rowId: `${i}`, columns: { title: "x", done: false } })).slice(0, 1),
    );
    for (let i = 1; i < 2_500; i++) {
      bench.gateway.append([foreignDelta({ rowId: `${i}`, columns: { title: "x", done: false } })]);
    }
    assertEquals(unwrapOrThrow(await client.syncOnce()).pulled, 2_500);
    assertEquals(await rowsOf(client, "SELECT count(*) FROM todos"), [[2_500]]);
    const cursors = bench.gateway.requests.flatMap((r) =>
      r.kind === "pull" ? [r.request.cursor] : []
    );
    assertEquals(cursors.length, 1 + 3);
  }));

test("a deletion and an edit that the rules hide take the row out; ENTER brings it whole", () =>
  withBench(async (bench) => {
    bench.gateway.setRule((_, { columns }) => columns.get("done")?.[0] === false);
    const client = await bench.client();
    const insert = (rowId: string, hlc: string) =>
      foreignDelta({ rowId, hlc, columns: { title: rowId, done: false, rank: 1 } });
    bench.gateway.append([insert("a", "10"), insert("b", "11")]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await rowsOf(client), [["a", "a", 0, 1], ["b", "b", 0, 1]]);
    bench.gateway.append([foreignDelta({ op: "DELETE", rowId: "a", hlc: "12" })]);
    bench.gateway.append([
      foreignDelta({ op: "UPDATE", rowId: "b", hlc: "13", columns: { done: true } }),
    ]);
    assertEquals(unwrapOrThrow(await client.syncOnce()).pulled, 2);
    assertEquals(await rowsOf(client), []);
    bench.gateway.append([
      foreignDelta({ op: "UPDATE", rowId: "b", hlc: "14", columns: { done: false } }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await rowsOf(client), [["b", "b", 0, 1]]);
  }));

test("transactions travel whole, and a page applies them at once", () =>
  withBench(async (bench) => {
    const a = await bench.client();
    const b = await bench.client();
    unwrapOrThrow(await b.syncOnce());
    unwrapOrThrow(
      await a.transaction(async ({ tables: { todos } }) => {
        await todos.insert({ id: "1", title: "Milk", done: false });
        await todos.update("1", { done: true });
        await todos.insert({ id: "2", title: "Bread", done: false });
      }),
    );
    unwrapOrThrow(await a.syncOnce());
    const [deltas] = pushes(bench);
    assertEquals(deltas!.map(({ op }) => op), ["INSERT", "UPDATE", "INSERT"]);
    assert(deltas![0]!.txId !== undefined);
    assertEquals(new Set(deltas!.map(({ txId }) => txId)).size, 1);
    const hlcs = deltas!.map(({ hlc }) => BigInt(hlc));
    assert(hlcs[0]! < hlcs[1]! && hlcs[1]! < hlcs[2]!);
    unwrapOrThrow(await b.syncOnce());
    assertEquals(await rowsOf(b), [["1", "Milk", 1, null], ["2", "Bread", 0, null]]);
  }));

test("an unanswered push is repeated unchanged, also by another process, before newer deltas", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const first = await bench.client({ database });
    unwrapOrThrow(await first.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    loseAnswer(bench, "push");
    assertEquals(codeOf(await first.syncOnce()), "OFFLINE");
    unwrapOrThrow(await first.tables.todos.update("1", { done: true }));
    await first.close();

    const second = await bench.client({ database });
    assertEquals(unwrapOrThrow(await second.pending()), 2);
    const summary = unwrapOrThrow(await second.syncOnce());
    assertEquals([summary.pushed, summary.duplicates], [1, 1]);
    const sent = pushes(bench);
    assertEquals(sent.map(({ length }) => length), [1, 1, 1]);
    assertEquals(sent[1], sent[0]);
    assertEquals(bench.gateway.head, 2);
    assertEquals(unwrapOrThrow(await second.pending()), 0);
  }));

test("an accepted delta stays on top until the base has reached its push answer's seq", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    // The pull after the push is lost: the base does not have the row yet.
    let pulls = 0;
    bench.gateway.fault = ({ kind }) =>
      kind === "pull" && ++pulls === 2 ? { fault: "lose-request" } : undefined;
    assertEquals(codeOf(await client.syncOnce()), "OFFLINE");
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    assertEquals(await rowsOf(client), [["1", "Milk", 0, null]]);
    assertEquals(await rowsOf(client, "SELECT count(*) FROM lakesync_base_todos"), [[0]]);
    // Meanwhile somebody else deletes the row: once the base is there, it is gone.
    bench.gateway.append([
      foreignDelta({ op: "DELETE", rowId: "1", hlc: "18446744073709551615" }),
    ]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await rowsOf(client), []);
  }));

test("own deltas come back as OWN items and are merged into the base", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await client.syncOnce());
    const pulls = bench.gateway.requests.filter(({ kind }) => kind === "pull");
    assert(pulls.every((r) => r.kind === "pull" && r.request.own === "ids"));
    assertEquals(await rowsOf(client, "SELECT id FROM lakesync_base_todos"), [["1"]]);
    assertEquals(await rowsOf(client, "SELECT state FROM lakesync_own"), [[4]]);
  }));

test("an OWN item that is not held any more leads to a checkpoint", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const client = await bench.client({ database });
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    loseAnswer(bench, "pull", 2);
    assertEquals(codeOf(await client.syncOnce()), "OFFLINE");
    unwrapOrThrow(await database.transaction((tx) => tx.run("DELETE FROM lakesync_own")));
    bench.gateway.fault = () => undefined;
    assertEquals(unwrapOrThrow(await client.syncOnce()).checkpointRows, 1);
    assertEquals(await rowsOf(client), [["1", "Milk", 0, null]]);
    assertEquals(unwrapOrThrow(await client.syncOnce()).checkpointRows, 0);
  }));

test("a rejected delta is taken off, kept as a dead letter and reported", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    const told: ClientEvents["rejected"][] = [];
    client.on("rejected", (letters) => told.push(letters));
    unwrapOrThrow(await client.tables.todos.insert({ id: "1", title: "Milk", done: false }));
    unwrapOrThrow(await client.syncOnce());
    bench.gateway.reject = ({ columns }) =>
      columns.some(({ value }) => value === "Beer") ? "FORBIDDEN_WRITE" : undefined;
    unwrapOrThrow(await client.tables.todos.update("1", { title: "Beer" }));
    unwrapOrThrow(await client.tables.todos.update("1", { rank: 7 }));
    assertEquals(await rowsOf(client), [["1", "Beer", 0, 7]]);
    const summary = unwrapOrThrow(await client.syncOnce());
    assertEquals([summary.pushed, summary.rejected], [1, 1]);
    assertEquals(await rowsOf(client), [["1", "Milk", 0, 7]]);
    const letters = unwrapOrThrow(await client.rejected.list());
    assertEquals(letters.map(({ code, delta }) => [code, delta.columns]), [
      ["FORBIDDEN_WRITE", [{ column: "title", value: "Beer" }]],
    ]);
    assertEquals(told, [letters]);
    assertEquals(unwrapOrThrow(await client.pending()), 0);
  }));

test("a rejected transaction is undone whole", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    bench.gateway.reject = ({ rowId }) => rowId === "2" ? "SCHEMA_ERROR" : undefined;
    unwrapOrThrow(
      await client.transaction(async ({ tables: { todos } }) => {
        await todos.insert({ id: "1", title: "Milk", done: false });
        await todos.insert({ id: "2", title: "Bread", done: false });
      }),
    );
    assertEquals(unwrapOrThrow(await client.syncOnce()).rejected, 2);
    assertEquals(await rowsOf(client), []);
    const letters = unwrapOrThrow(await client.rejected.list());
    assertEquals(letters.map(({ code }) => code), ["TX_REJECTED", "SCHEMA_ERROR"]);
  }));

test("a schema above the gateway's holds the outbox until the gateway has it", () =>
  withBench(async (bench) => {
    const newer = defineTable("todos", {
      ...todos.columns,
      note: string().nullable(),
    }, { version: 2 });
    const client = unwrapOrThrow(
      await createClient({
        tables: [newer],
        database: await bench.database(),
        transport: bench.gateway,
        sync: { auto: false },
        clock: bench.clock,
      }),
    );
    const states: string[] = [];
    client.on("status", ({ state }) => {
      if (state !== states.at(-1)) states.push(state);
    });
    unwrapOrThrow(
      await client.tables.todos.insert({ id: "1", title: "Milk", done: false, note: "!" }),
    );
    assertEquals(codeOf(await client.syncOnce()), "CONFLICT");
    assertEquals(unwrapOrThrow(await client.pending()), 1);
    assertEquals(client.status.error?.code, "CONFLICT");
    bench.gateway.setTables([newer.schema]);
    assertEquals(unwrapOrThrow(await client.syncOnce()).pushed, 1);
    assertEquals(client.status.error, undefined);
    assertEquals(states, ["manual", "syncing", "manual", "syncing", "manual"]);
    await client.close();
  }));

test("tables and columns that an older app does not know are left out; growing brings them", () =>
  withBench(async (bench) => {
    const newer = defineTable("todos", {
      ...todos.columns,
      note: string().nullable(),
    }, { version: 2 });
    const tags = defineTable("tags", { name: string() });
    bench.gateway.setTables([newer.schema, tags.schema]);
    bench.gateway.append([
      foreignDelta({ rowId: "1", hlc: "5", columns: { title: "Milk", done: false, note: "n1" } }),
      foreignDelta({ table: "tags", rowId: "t1", hlc: "6", columns: { name: "red" } }),
    ]);
    const database = await bench.database();
    const old = await bench.client({ database });
    unwrapOrThrow(await old.syncOnce());
    bench.gateway.append([
      foreignDelta({ op: "UPDATE", rowId: "1", hlc: "7", columns: { note: "n2", rank: 1 } }),
      foreignDelta({ table: "tags", rowId: "t2", hlc: "8", columns: { name: "blue" } }),
    ]);
    unwrapOrThrow(await old.syncOnce());
    assertEquals(await rowsOf(old), [["1", "Milk", 0, 1]]);
    unwrapOrThrow(await old.tables.todos.update("1", { done: true }));
    await old.close();

    const updated = unwrapOrThrow(
      await createClient({
        tables: [newer, tags],
        database,
        transport: bench.gateway,
        sync: { auto: false },
        clock: bench.clock,
      }),
    );
    // What was there stays usable before the next sync.
    assertEquals(unwrapOrThrow(await updated.tables.todos.get("1"))?.done, true);
    assertEquals(unwrapOrThrow(await updated.syncOnce()).checkpointRows, 3);
    assertEquals(unwrapOrThrow(await updated.tables.todos.get("1")), {
      id: "1",
      title: "Milk",
      done: true,
      rank: 1,
      note: "n2",
    });
    assertEquals(unwrapOrThrow(await updated.query("SELECT count(*) AS n FROM tags")), [{ n: 2 }]);
    await updated.close();
    // Back to the old app: its schema is narrower than the database's.
    const back = await createClient({ tables: [todos], database });
    assertEquals(codeOf(back), "CONFLICT");
  }));

test("a page with an item that this client does not know is not applied, and says what to do", () =>
  withBench(async (bench) => {
    const inner = bench.gateway;
    const transport: SyncTransport = {
      push: (request) => inner.push(request),
      checkpoint: (request) => inner.checkpoint(request),
      async pull(request) {
        const page = await inner.pull(request);
        if (!page.ok) return page;
        const item = { op: "SPLIT", table: "todos", rowId: "1" } as unknown as Delta;
        return { ok: true, value: { ...page.value, deltas: [...page.value.deltas, item] } };
      },
    };
    const client = await bench.client({ transport });
    const result = await client.syncOnce();
    assertEquals(codeOf(result), "VALIDATION_ERROR");
    assert(!result.ok);
    assertStringIncludes(result.error.message, "update @lakesync/client");
  }));
