import { mysqlServer } from "@lakesync/adapter-mysql";
import { postgresServer } from "@lakesync/adapter-postgres";
import { type SqlResultRow, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import { findMariadb, findPostgres, startMariadb, startPostgres } from "@lakesync/testing";

const { bin } = await findPostgres({ install: false });
const { programs } = await findMariadb({ install: false });

/** A database server with a table that is read from. */
export interface SourceTable extends AsyncDisposable {
  readonly kind: "postgres" | "mysql";
  readonly url: string;
  /** Runs a statement in a transaction. */
  run(text: string): Promise<readonly SqlResultRow[]>;
}

/** Servers that this machine has, by what they are called. */
export const SOURCES: ReadonlyMap<string, () => Promise<SourceTable>> = new Map([
  ...(bin === undefined ? [] : [["Postgres", () => startSource("postgres")] as const]),
  ...(programs === undefined ? [] : [["MariaDB", () => startSource("mysql")] as const]),
]);

async function startSource(kind: "postgres" | "mysql"): Promise<SourceTable> {
  const program = kind === "postgres"
    ? await startPostgres({ bin: bin!, fsync: true })
    : await startMariadb({ programs: programs!, fsync: true });
  let { url } = program;
  const open = async (): Promise<SqlServer> =>
    unwrapOrThrow(kind === "postgres" ? await postgresServer({ url }) : await mysqlServer({ url }));
  let server = await open();
  const run = async (text: string) =>
    unwrapOrThrow(await server.transaction((work) => work.run({ text, parameters: [] })));
  if (kind === "mysql") {
    for (const statement of MARIADB_SIZES) await run(statement);
    await run("CREATE DATABASE bench CHARACTER SET utf8mb4");
    url = url.replace(/mysql$/, "bench");
    await server.close();
    server = await open();
  }
  return {
    kind,
    url,
    run,
    async [Symbol.asyncDispose]() {
      await server.close();
      await program[Symbol.asyncDispose]();
    },
  };
}

/** A server's memory and log as one gives them to a database that is written to: by default they are for a laptop. */
export const MARIADB_SIZES: readonly string[] = [
  "SET GLOBAL innodb_buffer_pool_size = 1073741824",
  "SET GLOBAL innodb_log_file_size = 1073741824",
];

/** Makes `source_todos` with so many rows, by random keys. */
export async function fillSource(source: SourceTable, rows: number): Promise<void> {
  const postgres = source.kind === "postgres";
  await source.run("DROP TABLE IF EXISTS source_todos");
  await source.run(
    `CREATE TABLE source_todos (id CHAR(36) PRIMARY KEY, title VARCHAR(100) NOT NULL,
      done BOOLEAN NOT NULL, n BIGINT NOT NULL, version BIGINT NOT NULL)`,
  );
  const [from, i] = postgres
    ? [`generate_series(1, ${rows}) AS i`, "i::text"]
    : [`(SELECT seq AS i FROM seq_1_to_${rows}) AS s`, "i"];
  const hash = `md5(${i})`;
  const id =
    `CONCAT(SUBSTRING(${hash}, 1, 8), '-', SUBSTRING(${hash}, 9, 4), '-', SUBSTRING(${hash}, 13, 4), '-', SUBSTRING(${hash}, 17, 4), '-', SUBSTRING(${hash}, 21, 12))`;
  await source.run(
    `INSERT INTO source_todos SELECT ${id}, CONCAT('Task number ', MOD(i, 10000)), MOD(i, 2) = 0, MOD(i, 10000), i FROM ${from}`,
  );
  await source.run("CREATE INDEX source_todos_by_version ON source_todos (version, id)");
  await source.run(postgres ? "ANALYZE source_todos" : "ANALYZE TABLE source_todos");
}
