import { bigqueryServer } from "@lakesync/adapter-bigquery";
import { type Result, type SqlResultRow, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { startBigQuery } from "./bigquery_emulator.ts";
import { Engine, type Session } from "./bigquery_emulator/engine.ts";
import { ApiFault } from "./bigquery_emulator/fault.ts";
import { runScript } from "./bigquery_emulator/statements.ts";
import { test } from "./test.ts";

/** A dataset with a table, and what asks it. */
async function withDataset(
  body: (
    ask: (
      text: string,
      ...parameters: readonly (string | number)[]
    ) => Promise<Result<readonly SqlResultRow[]>>,
  ) => Promise<void>,
): Promise<void> {
  await using server = await startBigQuery();
  await server.makeDataset("d");
  const { endpoint, credentials } = server;
  const database = unwrapOrThrow(
    await bigqueryServer({ endpoint, credentials, dataset: "d", attempts: 1 }),
  );
  const ask = (text: string, ...parameters: readonly (string | number)[]) =>
    database.transaction((work) => work.run({ text, parameters }));
  unwrapOrThrow(await ask("CREATE TABLE t (id STRING NOT NULL, n INT64, `at` TIMESTAMP)"));
  await body(ask);
  await database.close();
}

test("the BigQuery emulator refuses what BigQuery refuses", () =>
  withDataset(async (ask) => {
    const cases: readonly (readonly [text: string, says: string])[] = [
      ["SELECT at FROM t", "Unexpected keyword at"],
      ["SELECT missing FROM t", "Unrecognized name: missing"],
      ["SELECT id FROM nowhere", "Not found: Table nowhere"],
      ["SELECT LENGTH(id) FROM t", "Function not found: LENGTH"],
      ['SELECT id FROM "t"', "Illegal input character"],
      ["INSERT INTO t (id, n) SELECT 'a', 'b'", "which cannot be inserted into column n"],
      ["INSERT INTO t (id, other) SELECT 'a', 1", "Column other is not present"],
      ["INSERT INTO t (n) SELECT 1", "Required field id cannot be null"],
      ["INSERT INTO t (id) SELECT CAST(NULL AS STRING)", "Required field id cannot be null"],
      ["UPDATE t SET n = 1", "must have a WHERE clause"],
      ["UPDATE t SET n = 'x' WHERE TRUE", "which cannot be inserted into column n"],
      ["DELETE FROM t", "must have a WHERE clause"],
      ["TRUNCATE TABLE t", "Syntax error"],
      ["CREATE TABLE t (id STRING)", "Already Exists"],
      ["CREATE TABLE u (id STRING, PRIMARY KEY (id))", "must be specified as NOT ENFORCED"],
      ["CREATE TABLE u (id TEXT)", "Type not found: TEXT"],
      ["CREATE TABLE u (id STRING, ID INT64)", "Duplicate column name"],
      ["CREATE TABLE u (_partition_x STRING)", "Invalid field name"],
      ["CREATE TABLE `a.b` (id STRING)", "Invalid table ID"],
      ["ALTER TABLE t ADD COLUMN x INT64 NOT NULL", "Cannot add required fields"],
      ["SELECT FARM_FINGERPRINT(1)", "No matching signature for function"],
      ["SELECT SUM(n) FROM (SELECT 9223372036854775807 AS n UNION ALL SELECT 1)", "overflow"],
      [`SELECT '${"x".repeat(1024 * 1024)}'`, "The query is too large"],
    ];
    for (const [text, says] of cases) {
      // With a space behind it, a primary key is not said to be unenforced by the adapter.
      const refused = await ask(`${text} `);
      assert(!refused.ok, text.slice(0, 80));
      assertStringIncludes(refused.error.message, says);
    }
    for (const [text, parameter] of [["id = ?", 1], ["n > ?", "1"]] as const) {
      const refused = await ask(`SELECT id FROM t WHERE ${text}`, parameter);
      assert(!refused.ok);
      assertStringIncludes(refused.error.message, "No matching signature for operator");
    }
  }));

test("the BigQuery emulator aborts a transaction whose table another one has changed", async () => {
  const engine = await Engine.create();
  const sessions = [
    await engine.connect(),
    await engine.connect(),
    await engine.connect(),
  ] as const;
  const [one, two, three] = sessions;
  const run = (session: Session, text: string) => runScript(session, text, new Map());
  const add = "UPDATE t SET n = n + 1 WHERE id = 'a'";
  await run(one, "CREATE TABLE t (id STRING, n INT64)");
  await run(one, "INSERT INTO t (id, n) VALUES ('a', 0)");
  for (const session of sessions) await run(session, "BEGIN TRANSACTION");
  await run(one, add);
  await assertRejects(() => run(two, add), ApiFault, "aborted due to concurrent update");
  // Rows that are added are in nobody's way.
  await run(two, "INSERT INTO t (id, n) VALUES ('b', 0); COMMIT TRANSACTION");
  await run(one, "COMMIT TRANSACTION");
  // Also when the other one is over: what this one has read is old.
  await assertRejects(() => run(three, add), ApiFault, "aborted due to concurrent update");
  await three.close();
  const rows = (await run(two, "SELECT id, n FROM t ORDER BY id"))?.rows;
  assertEquals(rows, [["a", 1n], ["b", 0n]]);
  await one.close();
  await two.close();
  await engine.close();
});

test("the BigQuery emulator merges at most one row into each, and counts none twice", () =>
  withDataset(async (ask) => {
    unwrapOrThrow(await ask("INSERT INTO t (id, n) VALUES ('a', 1), ('b', 2)"));
    unwrapOrThrow(await ask("CREATE TABLE s (id STRING, n INT64)"));
    unwrapOrThrow(await ask("INSERT INTO s (id, n) VALUES ('b', 3), ('c', 4)"));
    const merge =
      "MERGE INTO t AS t USING s AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n " +
      "WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, s.n)";
    unwrapOrThrow(await ask(merge));
    const rows = [["a", "1"], ["b", "3"], ["c", "4"]];
    assertEquals(unwrapOrThrow(await ask("SELECT id, n FROM t ORDER BY id")), rows);
    unwrapOrThrow(await ask("INSERT INTO s (id, n) VALUES ('b', 5)"));
    const twice = await ask(merge);
    assert(!twice.ok);
    assertStringIncludes(twice.error.message, "at most one source row");
    assertEquals(unwrapOrThrow(await ask("SELECT id, n FROM t ORDER BY id")), rows);
  }));

test("the BigQuery emulator keeps its API behind tokens that an account's key was asked for", async () => {
  await using server = await startBigQuery();
  await server.makeDataset("d");
  const url = `${server.endpoint}/bigquery/v2/projects/lakesync-test/datasets/d`;
  for (const authorization of ["", "Bearer ya29.1"]) {
    const answer = await fetch(url, { headers: { authorization } });
    assertEquals(answer.status, 401);
    await answer.body?.cancel();
  }
  const assertion = "eyJhbGciOiJub25lIn0.e30.";
  const grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
  const answer = await fetch(`${server.endpoint}/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type, assertion }),
  });
  assertEquals([answer.status, await answer.json()], [400, { error: "invalid_grant" }]);
});
