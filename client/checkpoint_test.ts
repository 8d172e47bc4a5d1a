import { compareHlc, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type Bench, codeOf, foreignDelta, rowsOf, withBench } from "./testdata/bench.ts";

function fill(bench: Bench, rows: number): void {
  for (let i = 0; i < rows; i++) {
    const rowId = String(i).padStart(5, "0");
    bench.gateway.append([foreignDelta({ rowId, columns: { title: `t${i}`, done: false } })]);
  }
}

const COUNT = "SELECT count(*) FROM todos";

test("a first sync is a checkpoint, in several transactions, with its stamps", () =>
  withBench(async (bench) => {
    fill(bench, 20_000);
    const hlc = String(BigInt(bench.clock.now() + 3_000) << 16n);
    bench.gateway.append([
      foreignDelta({ op: "UPDATE", rowId: "00007", hlc, columns: { rank: 7 } }),
    ]);
    const client = await bench.client();
    assertEquals(unwrapOrThrow(await client.syncOnce()).checkpointRows, 20_000);
    assertEquals(await rowsOf(client, COUNT), [[20_000]]);
    assertEquals(unwrapOrThrow(await client.tables.todos.get("00007")), {
      id: "00007",
      title: "t7",
      done: false,
      rank: 7,
    });
    unwrapOrThrow(await client.tables.todos.update("00007", { rank: 8 }));
    unwrapOrThrow(await client.syncOnce());
    assert(compareHlc(bench.gateway.accepted.at(-1)!.hlc, hlc) > 0);
  }));

test("a checkpoint that breaks off leaves everything as it was", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const client = await bench.client({ database });
    fill(bench, 3);
    unwrapOrThrow(await client.syncOnce());
    unwrapOrThrow(await client.tables.todos.update("00001", { done: true }));
    const before = await rowsOf(client);
    fill(bench, 20_000);
    bench.gateway.setRule(() => true);
    bench.gateway.fault = ({ kind }) =>
      kind === "checkpoint" ? { fault: "break-off", rows: 12_000 } : undefined;
    assertEquals(codeOf(await client.syncOnce()), "OFFLINE");
    assertEquals(await rowsOf(client), before);
    assertEquals(unwrapOrThrow(await client.pending()), 1);
    const stage = "SELECT count(*) AS n FROM sqlite_master WHERE name LIKE 'lakesync_stage%'";
    assertEquals(unwrapOrThrow(await database.query(stage)), [{ n: 0 }]);
    bench.gateway.fault = () => undefined;
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await rowsOf(client, COUNT), [[20_000]]);
    assertEquals(unwrapOrThrow(await client.tables.todos.get("00001"))?.done, true);
  }));

test("what a crash left of a checkpoint is removed at the next opening", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    await (await bench.client({ database })).close();
    unwrapOrThrow(
      await database.transaction(async (tx) => {
        await tx.run("CREATE TABLE lakesync_stage_todos (id TEXT PRIMARY KEY, title TEXT)");
        await tx.run("CREATE TABLE lakesync_stagebase_todos (id TEXT PRIMARY KEY, state TEXT)");
      }),
    );
    const client = await bench.client({ database });
    const stage = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'lakesync_stage%'";
    assertEquals(await rowsOf(client, stage), [[0]]);
    fill(bench, 2);
    assertEquals(unwrapOrThrow(await client.syncOnce()).checkpointRows, 2);
  }));

test("writes during a checkpoint are neither blocked nor lost, and reads see the old rows", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    fill(bench, 20_000);
    unwrapOrThrow(await client.tables.todos.insert({ id: "before", title: "b", done: false }));
    const fetched = client.syncOnce();
    let during = 0;
    let finished = false;
    void fetched.then(() => finished = true);
    while (!finished) {
      unwrapOrThrow(
        await client.tables.todos.insert({ id: `d${during}`, title: "d", done: false }),
      );
      const [row] = await rowsOf(client, COUNT) as [[number]];
      const shown = row[0];
      assert(shown === during + 2 || shown > 20_000, `${shown} rows are shown`);
      during++;
    }
    unwrapOrThrow(await fetched);
    assert(during > 2, `${during} writes had their turn`);
    assertEquals(await rowsOf(client, COUNT), [[20_001 + during]]);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(bench.gateway.visible("todos").size, 20_001 + during);
  }));

test("a checkpoint lays own deltas on top of rows that it changes, and drops rows that it lacks", () =>
  withBench(async (bench) => {
    const client = await bench.client();
    fill(bench, 4);
    unwrapOrThrow(await client.syncOnce());
    const { todos } = client.tables;
    unwrapOrThrow(await todos.update("00000", { title: "mine" }));
    unwrapOrThrow(await todos.delete("00001"));
    unwrapOrThrow(await todos.update("00002", { rank: 2 }));
    bench.gateway.append([
      foreignDelta({
        op: "UPDATE",
        rowId: "00000",
        hlc: "18446744073709551615",
        columns: { done: true },
      }),
      foreignDelta({ op: "DELETE", rowId: "00002", hlc: "18446744073709551615" }),
      foreignDelta({ op: "DELETE", rowId: "00003", hlc: "18446744073709551615" }),
    ]);
    bench.gateway.trim(bench.gateway.head);
    bench.gateway.fault = ({ kind }) => kind === "push" ? { fault: "lose-request" } : undefined;
    assertEquals(codeOf(await client.syncOnce()), "OFFLINE");
    assertEquals(await rowsOf(client), [["00000", "mine", 1, null]]);
  }));

test("a checkpoint keeps the app's own indexes, triggers and views", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const client = await bench.client({ database });
    const extras = [
      "CREATE INDEX todos_title ON todos (title)",
      "CREATE VIEW open_todos AS SELECT * FROM todos WHERE done = 0",
      "CREATE TABLE log (id TEXT)",
      "CREATE TRIGGER todos_log AFTER DELETE ON todos BEGIN INSERT INTO log VALUES (old.id); END",
    ];
    unwrapOrThrow(
      await database.transaction(async (tx) => {
        for (const sql of extras) await tx.run(sql);
      }),
    );
    fill(bench, 3);
    unwrapOrThrow(await client.syncOnce());
    assertEquals(await rowsOf(client, "SELECT count(*) FROM open_todos"), [[3]]);
    const plan = await rowsOf(client, "SELECT name FROM pragma_index_list('todos')");
    assert(plan.flat().includes("todos_title"));
    unwrapOrThrow(await client.tables.todos.delete("00001"));
    assertEquals(await rowsOf(client, "SELECT id FROM log"), [["00001"]]);
  }));

test("a checkpoint is thrown away where the base has moved since it was asked for", () =>
  withBench(async (bench) => {
    const database = await bench.database();
    const client = await bench.client({ database });
    fill(bench, 3);
    const checkpoint = bench.gateway.checkpoint.bind(bench.gateway);
    let taken = 0;
    bench.gateway.checkpoint = async (request, options) => {
      const answer = await checkpoint(request, options);
      if (++taken === 1) {
        // As another process would, which has taken one in the meantime.
        unwrapOrThrow(
          await database.transaction((tx) => tx.run("UPDATE lakesync_state SET cursor = 'moved'")),
        );
      }
      return answer;
    };
    unwrapOrThrow(await client.syncOnce());
    assertEquals(taken, 2);
    assertEquals(await rowsOf(client, COUNT), [[3]]);
  }));
