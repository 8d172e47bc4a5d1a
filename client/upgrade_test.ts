import { type Delta, type SqlDatabase, unwrapOrThrow } from "@lakesync/core";
import { FakeGateway, ManualClock, Prng, test } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Client, createClient, openSqlite } from "./mod.ts";
import { foreignDelta, rowsOf, type Todos, todos } from "./testdata/bench.ts";
import fixture from "./testdata/format_1.json" with { type: "json" };

/**
 * A database that a client of an earlier version has made, in which deltas are settled, accepted,
 * flying (their answer was lost), unsent and rejected.
 */
async function oldDatabase(): Promise<SqlDatabase> {
  const database = unwrapOrThrow(await openSqlite({ path: ":memory:" }));
  unwrapOrThrow(
    await database.transaction(async (tx) => {
      for (const statement of fixture.statements) await tx.run(statement);
    }),
  );
  return database;
}

const clock = (): ManualClock => new ManualClock(fixture.now);

async function openOld(database: SqlDatabase, gateway: FakeGateway): Promise<Client<Todos>> {
  return unwrapOrThrow(
    await createClient({
      tables: [todos],
      database,
      transport: gateway,
      sync: { auto: false },
      clock: clock(),
      random: new Prng(2),
    }),
  );
}

/** The gateway that the database knows, with the same log. */
function knownGateway(): FakeGateway {
  const gateway = new FakeGateway({ tables: [todos.schema], clock: clock() });
  gateway.append(fixture.log as unknown as Delta[]);
  return gateway;
}

const SHOWN = [
  ["accepted", "Accepted", 0, null],
  ["flying", "Flying", 0, null],
  ["r1", "theirs", 1, null],
  ["settled", "Settled", 0, null],
  ["tx1", "One of two", 1, 1],
  ["txé", "Two of two", 1, 2],
  ["unsent", "Unsent", 0, null],
];

test("a database of format 1 opens with its rows, its outbox and its dead letters", async () => {
  const database = await oldDatabase();
  unwrapOrThrow(
    await database.transaction(async (tx) => {
      await tx.run("CREATE VIEW broken AS SELECT * FROM gone");
      await tx.run("CREATE INDEX mine ON todos (title)");
    }),
  );
  for (let opening = 0; opening < 2; opening++) {
    const client = await openOld(database, knownGateway());
    assertEquals(await rowsOf(client), SHOWN);
    assertEquals([client.status.outbox, unwrapOrThrow(await client.pending())], [4, 4]);
    const [letter] = unwrapOrThrow(await client.rejected.list());
    assertEquals([letter?.code, letter?.delta.rowId], ["FORBIDDEN_WRITE", "refused"]);
    assertEquals(client.clientId, "fixture");
    await client.close();
  }
  const left = await database.query("SELECT name FROM sqlite_master WHERE name LIKE '%_own_1'");
  assertEquals(left, { ok: true, value: [] });
  await database.close();
});

test("a database of format 1 goes on syncing: what is flying is a duplicate, the rest is sent, nothing twice", async () => {
  const database = await oldDatabase();
  const gateway = knownGateway();
  const client = await openOld(database, gateway);
  unwrapOrThrow(await client.tables.todos.update("accepted", { title: "And changed" }));
  // It lacks what the app had not declared, so that it begins with a checkpoint.
  const first = unwrapOrThrow(await client.syncOnce());
  assertEquals([first.pushed, first.duplicates, first.rejected], [4, 1, 0]);
  assertEquals(unwrapOrThrow(await client.pending()), 0);
  const ids = gateway.accepted.map(({ deltaId }) => deltaId);
  assertEquals(new Set(ids).size, ids.length);
  assertEquals(gateway.accepted.slice(fixture.log.length).map(({ op, rowId }) => [op, rowId]), [
    ["UPDATE", "r1"],
    ["INSERT", "unsent"],
    ["DELETE", "r2"],
    ["UPDATE", "accepted"],
  ]);
  gateway.append([foreignDelta({ rowId: "new", columns: { title: "n", done: true } })]);
  unwrapOrThrow(await client.syncOnce());
  const expected = [["accepted", "And changed", 0, null], ...SHOWN.slice(1)];
  assertEquals(await rowsOf(client), [...expected, ["new", "n", 1, null]].sort());
  assertEquals(await rowsOf(client, "SELECT DISTINCT state FROM lakesync_own"), [[4]]);
  await client.close();
  await database.close();
});

test("a database of format 1 whose gateway was reset sends all that was accepted again", async () => {
  const database = await oldDatabase();
  const gateway = knownGateway();
  gateway.reset();
  const client = await openOld(database, gateway);
  unwrapOrThrow(await client.syncOnce());
  assertEquals(gateway.accepted.map(({ rowId }) => rowId), [
    // What is flying is repeated first.
    "flying",
    "settled",
    "tx1",
    "txé",
    "accepted",
    "r1",
    "unsent",
    "r2",
  ]);
  assertEquals(unwrapOrThrow(await client.pending()), 0);
  await client.close();
  await database.close();
});

test("a database that was brought to format 2 says so, and no client takes one of a format that it does not know", async () => {
  const database = await oldDatabase();
  await (await openOld(database, knownGateway())).close();
  const format = unwrapOrThrow(await database.query("SELECT format FROM lakesync_state"));
  assertEquals(format[0]?.format, 2);
  unwrapOrThrow(
    await database.transaction((tx) => tx.run("UPDATE lakesync_state SET format = format + 1")),
  );
  const opened = await createClient({ tables: [todos], database });
  assertStringIncludes(opened.ok ? "" : opened.error.message, "format 3");
  await database.close();
});
