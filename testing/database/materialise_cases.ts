import { type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Prng } from "../prng.ts";
import { type Check, EDGES } from "./delta_cases.ts";
import { deltaOf, EVERYTHING, insert, type TestDatabase, todo, TODOS } from "./fixture.ts";

const GROWN: TableSchema = {
  ...TODOS,
  version: 2,
  columns: [...TODOS.columns, { name: "due", type: "timestamp", nullable: true }],
};

/** What people find in `todos`, by key. */
async function todos(database: TestDatabase): Promise<Map<string, string>> {
  const rows = await database.rows("todos");
  return new Map(rows.map((row) => [row.get("id")!, `${row.get("title")}|${row.get("n")}`]));
}

/** What `materialise` has to hold. */
export function registerMaterialiseCases(check: Check): void {
  check("materialises rows: real columns, synced_at, deletes deleted", async (database) => {
    const adapter = await database.open();
    const before = unwrapOrThrow(await adapter.materialise(TODOS));
    assertEquals(before, { upserted: 0, deleted: 0, misfits: new Map() });
    assertEquals(await database.rows("todos"), []);
    await insert(adapter, [todo("r1", 1, { n: 5 }), todo("r2", 2), todo("r3", 3)]);
    await insert(adapter, [
      deltaOf({ op: "UPDATE", rowId: "r1", hlc: 4, columns: { title: "New" } }),
      deltaOf({ op: "DELETE", rowId: "r2", hlc: 5 }),
      deltaOf({ op: "UPDATE", rowId: "r9", hlc: 6, columns: { title: "No row" } }),
    ]);
    unwrapOrThrow(await adapter.materialise(TODOS));
    assertEquals([...await todos(database)].sort(), [["r1", "New|5"], ["r3", "Todo r3|null"]]);
    const [row] = await database.rows("todos");
    assert((row!.get("synced_at") ?? "").startsWith("2"));
    assertEquals(row!.get("props"), null);
    await insert(adapter, [deltaOf({ op: "DELETE", rowId: "r1", hlc: 7 })]);
    const report = unwrapOrThrow(await adapter.materialise(TODOS));
    assertEquals([report.upserted, report.deleted], [0, 1]);
    assertEquals([...await todos(database)], [["r3", "Todo r3|null"]]);
  });

  check("materialises what late and repeated deltas come to", async (database) => {
    const adapter = await database.open();
    const random = new Prng(7);
    for (let round = 0; round < 6; round++) {
      const deltas = Array.from({ length: 40 }, () => {
        const op = random.pick(["INSERT", "UPDATE", "DELETE"] as const);
        const columns = op === "DELETE" ? {} : { title: `t${random.int(0, 9)}` };
        return deltaOf({ op, rowId: `r${random.int(0, 9)}`, hlc: random.int(1, 50), columns });
      });
      await insert(adapter, [...deltas, ...deltas.slice(0, 3)]);
      unwrapOrThrow(await adapter.materialise(TODOS));
      const { rows } = unwrapOrThrow(await adapter.getLatestState("todos"));
      const alive = rows.filter(({ state }) => state.life?.alive === true);
      assertEquals(
        [...await todos(database)].sort(),
        alive.map(({ rowId, state }): [string, string] => [
          rowId,
          `${state.columns.get("title")?.[0]}|null`,
        ]).sort(),
      );
    }
  });

  check("goes on where it ended, also when it is called twice at once", async (database) => {
    const [one, two] = [await database.open(), await database.open()];
    const deltas = Array.from({ length: 12_000 }, (_, i) => todo(`r${i}`, i + 1));
    await insert(one, deltas);
    unwrapOrThrow(await one.materialise(TODOS));
    await insert(one, [todo("r1", 20_000), todo("new", 20_001)]);
    const reports = await Promise.all([one.materialise(TODOS), two.materialise(TODOS)]);
    assertEquals(reports.reduce((sum, report) => sum + unwrapOrThrow(report).upserted, 0), 2);
    assertEquals((await todos(database)).size, 12_001);
  });

  check(
    "adds columns as the schema grows, and takes their values out of props",
    async (database) => {
      const adapter = await database.open();
      const due = "2026-01-02T03:04:05.678901Z";
      await insert(adapter, [todo("r1", 1), todo("r2", 2, { due })]);
      unwrapOrThrow(await adapter.materialise(TODOS));
      const props = (await database.rows("todos")).map((row) => row.get("props") ?? null);
      assertEquals(props.map((text) => text && JSON.parse(text)).sort(), [{ due }, null]);
      unwrapOrThrow(await adapter.materialise(GROWN));
      const rows = await database.rows("todos");
      const times = rows.map((row) => row.get("due")?.slice(0, 10) ?? null).sort();
      assertEquals(times, ["2026-01-02", null]);
      assertEquals(rows.map((row) => row.get("props")), [null, null]);
    },
  );

  check("makes a table anew that somebody dropped, and a column", async (database) => {
    const adapter = await database.open();
    await insert(adapter, [todo("r1", 1, { n: 3 }), todo("r2", 2)]);
    unwrapOrThrow(await adapter.materialise(TODOS));
    const whole = await todos(database);
    await database.execute('ALTER TABLE "todos" DROP COLUMN "n"');
    unwrapOrThrow(await adapter.materialise(TODOS));
    assertEquals(await todos(database), whole);
    await database.execute('DROP TABLE "todos"');
    unwrapOrThrow(await adapter.materialise(TODOS));
    assertEquals(await todos(database), whole);
  });

  check("begins anew where somebody dropped its head and what else it knew", async (database) => {
    for (const name of ["lakesync_deltas", "lakesync_rows"]) {
      const before = await database.open();
      await insert(before, [todo("r1", 1)]);
      await database.execute('DROP TABLE "lakesync_head"');
      await database.execute(`DROP TABLE "${name}"`);
      const adapter = await database.open();
      assertEquals(unwrapOrThrow(await adapter.watermarks(["todos"])).size, 0, name);
      await insert(adapter, [todo("r1", 1), todo("r2", 2)]);
      unwrapOrThrow(await adapter.materialise(TODOS));
      assertEquals((await todos(database)).size, 2, name);
    }
  });

  check("shows new rows where deltas are gone and somebody dropped the head", async (database) => {
    const before = await database.open();
    await insert(before, [todo("r1", 1), todo("r2", 2)]);
    unwrapOrThrow(await before.materialise(TODOS));
    await database.execute('DELETE FROM "lakesync_deltas" WHERE TRUE');
    await database.execute('DROP TABLE "lakesync_head"');
    const adapter = await database.open();
    await insert(adapter, [todo("r3", 3)]);
    unwrapOrThrow(await adapter.materialise(TODOS));
    assertEquals([...(await todos(database)).keys()].sort(), ["r1", "r2", "r3"]);
  });

  check(
    "names table and column where what is there does not fit, and goes on when it does",
    async (database) => {
      const adapter = await database.open();
      await database.execute('CREATE TABLE "todos" ("id" integer)');
      await insert(adapter, [todo("r1", 1)]);
      const foreign = await adapter.materialise(TODOS);
      assert(!foreign.ok);
      assertEquals(foreign.error.code, "CONFLICT");
      assertEquals(foreign.error.details?.["table"], "todos");
      await database.execute('DROP TABLE "todos"');
      unwrapOrThrow(await adapter.materialise(TODOS));
      await database.execute('ALTER TABLE "todos" DROP COLUMN "n"');
      await database.execute('ALTER TABLE "todos" ADD COLUMN "n" date');
      const changed = await adapter.materialise(TODOS);
      assert(!changed.ok);
      assertEquals(changed.error.code, "CONFLICT");
      assertEquals(changed.error.details, { table: "todos", column: "n" });
      assertStringIncludes(changed.error.message, '"n" as date');
      await insert(adapter, [todo("r2", 2)]);
      await database.execute('ALTER TABLE "todos" DROP COLUMN "n"');
      unwrapOrThrow(await adapter.materialise(TODOS));
      assertEquals((await todos(database)).size, 2);
    },
  );

  check(
    "names the column that somebody made NOT NULL, loses nothing, and goes on",
    async (database) => {
      const adapter = await database.open();
      unwrapOrThrow(await adapter.materialise(TODOS));
      await database.execute('ALTER TABLE "todos" ADD COLUMN "theirs" date NOT NULL');
      await insert(adapter, [todo("r1", 1)]);
      const failed = await adapter.materialise(TODOS);
      assert(!failed.ok);
      assertEquals(failed.error.code, "CONFLICT");
      assertEquals(failed.error.details, { table: "todos", column: "theirs" });
      await database.execute('ALTER TABLE "todos" DROP COLUMN "theirs"');
      unwrapOrThrow(await adapter.materialise(TODOS));
      assertEquals((await todos(database)).size, 1);
    },
  );

  check("holds every value in its column, or exactly in props and counts it", async (database) => {
    const adapter = await database.open();
    const deltas = Object.entries(EDGES).flatMap(([column, values]) =>
      values.map((value, i) => {
        const columns = Object.fromEntries([[column, value]]);
        const rowId = `${column} ${i}`;
        return deltaOf({ op: "INSERT", table: "everything", rowId, hlc: i + 1, columns });
      })
    );
    await insert(adapter, deltas, [EVERYTHING]);
    const { misfits } = unwrapOrThrow(await adapter.materialise(EVERYTHING));
    const rows = await database.rows("everything");
    assertEquals(rows.length, deltas.length);
    let inProps = 0;
    for (const row of rows) {
      const id = row.get("id")!;
      const [column, i] = [id.slice(0, id.lastIndexOf(" ")), Number(id.slice(id.lastIndexOf(" ")))];
      const value = EDGES[column]![i]!;
      const props = row.get("props");
      if (props !== null) {
        assertEquals(Object.entries(JSON.parse(props!)), [[column, value]]);
        assertEquals(row.get(column), null);
        inProps++;
        continue;
      }
      const shown = row.get(column)!;
      if (column === "text" || column === "__proto__") assertEquals(shown, value);
      else if (column === "num") assertEquals(Number(shown), value);
      else if (column === "int") assertEquals(shown, String(value));
      else if (column === "doc") assertEquals(JSON.parse(shown), value);
      else assert(shown !== null);
    }
    assertEquals(Array.from(misfits.values()).reduce((a, b) => a + b, 0), inProps);
  });
}
