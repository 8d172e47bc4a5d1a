import { type SqlWork, unwrapOrThrow } from "@lakesync/core";
import { findPostgres, startPostgres, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { postgresServer } from "./postgres_server.ts";

const { bin, skip } = await findPostgres();

test({
  name: "Postgres writes rows that are new, leaves those alone that are there, and counts",
  skip,
}, async () => {
  await using program = await startPostgres({ bin: bin! });
  const server = unwrapOrThrow(await postgresServer({ url: program.url }));
  const { writeNew } = server.dialect;
  const columns = [{ name: "k", type: "key" }, { name: "v", type: "text" }] as const;
  const statement = (rows: readonly (readonly [string, string])[]) =>
    writeNew!({ table: "kept", columns, rows });
  const all = async (work: SqlWork) =>
    await work.run({ text: "SELECT k, v FROM kept ORDER BY k", parameters: [] });
  const found = unwrapOrThrow(
    await server.transaction(async (work) => {
      await work.run({
        text: 'CREATE TABLE kept (k text COLLATE "C" PRIMARY KEY, v text)',
        parameters: [],
      });
      // Not awaited one by one: each has to be through, with its second try, before the next begins.
      const written = await Promise.all([
        work.run(statement([["a", "1"], ["b\\\t", "2\n\r"]])),
        work.run(statement([["b\\\t", "3"], ["c", '3"']])),
        work.run(statement([["c", "4"], ["d", "4"]])),
        work.run(statement([["e", "5"]])),
      ]);
      return { written: written.map(([row]) => row), rows: await all(work) };
    }),
  );
  assertEquals(found.written, [["2"], ["1"], ["1"], ["1"]]);
  const rows = [["a", "1"], ["b\\\t", "2\n\r"], ["c", '3"'], ["d", "4"], ["e", "5"]];
  assertEquals(found.rows, rows);
  assertEquals(unwrapOrThrow(await server.transaction(all)), rows);
  // What else is wrong with a row fails the transaction.
  const failed = await server.transaction(async (work) => {
    await work.run(statement([["f", "6"]]));
    await work.run({ ...statement([["g", "7"]]), text: "COPY nowhere FROM STDIN" });
  });
  assertEquals(failed.ok || failed.error.code, "CONFLICT");
  assertEquals(unwrapOrThrow(await server.transaction(all)), rows);
  await server.close();
});
