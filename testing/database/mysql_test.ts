// MySQL itself, where the one who runs the tests has a server: no registry has one to install.
import process from "node:process";
import { mysqlServer } from "@lakesync/adapter-mysql";
import { type Result, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { testDatabaseAdapter } from "../database_adapter.ts";
import { sqlSubject } from "./sql_subject.ts";

const url = process.env["LAKESYNC_TEST_MYSQL"];
const skip = url === undefined
  ? "there is no MySQL 8 server: set LAKESYNC_TEST_MYSQL to mysql://user:password@host/database of one that may be emptied"
  : undefined;

/** How rows are put: the adapter has two ways. */
const WAYS = [["LOAD DATA", true], ["INSERT", false]] as const;

/** Empties the database; the result connects to it. */
async function create(loadData: boolean): Promise<() => Promise<Result<SqlServer>>> {
  const server = unwrapOrThrow(await mysqlServer({ url: url! }));
  unwrapOrThrow(
    await server.transaction(async (work) => {
      const tables = await work.run({
        text: "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
        parameters: [],
      });
      for (const [table] of tables) {
        await work.run({
          text: `DROP TABLE ${server.dialect.quote(table!)}`,
          parameters: [],
        });
      }
    }),
  );
  await server.close();
  return () => mysqlServer({ url: url!, loadData });
}

if (skip !== undefined) test({ name: "DatabaseAdapter MySQL", skip }, () => {});
for (const [way, loadData] of skip === undefined ? WAYS : []) {
  const { restart: _, ...subject } = sqlSubject({
    name: `MySQL by ${way}`,
    skip: undefined,
    create: () => create(loadData),
    // It is not ours to kill.
    restart: () => Promise.resolve(),
  });
  testDatabaseAdapter(subject);
}
