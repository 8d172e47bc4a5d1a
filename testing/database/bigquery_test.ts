import { bigqueryServer } from "@lakesync/adapter-bigquery";
import type { Result, SqlServer } from "@lakesync/core";
import { type BigQueryEmulator, startBigQuery } from "../bigquery_emulator.ts";
import { testDatabaseAdapter } from "../database_adapter.ts";
import { optionsFor } from "./bigquery_subject.ts";
import { sqlSubject } from "./sql_subject.ts";

let server: BigQueryEmulator | undefined;
let datasets = 0;

async function create(): Promise<() => Promise<Result<SqlServer>>> {
  const emulator = server ??= await startBigQuery();
  const dataset = `test_${datasets++}`;
  await emulator.makeDataset(dataset);
  return () => bigqueryServer(optionsFor(emulator, { dataset }));
}

const subject = sqlSubject({
  name: "BigQuery",
  create,
  // As long as no call bears it.
  restart: () => server!.outage(3),
});

testDatabaseAdapter({
  ...subject,
  async create() {
    const database = await subject.create();
    return {
      ...database,
      async execute(sql) {
        if (!sql.endsWith("NOT NULL")) return await database.execute(sql);
        // BigQuery adds no such column: its operator would make the table anew.
        await database.execute('DROP TABLE "todos"');
        await database.execute(
          'CREATE TABLE "todos" ("id" string NOT NULL, "title" string, "n" int64, "props" string, ' +
            '"synced_at" timestamp, "theirs" date NOT NULL)',
        );
      },
    };
  },
});
