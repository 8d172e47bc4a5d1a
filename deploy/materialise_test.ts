import { rm, writeFile } from "node:fs/promises";
import { fileObjectStore } from "@lakesync/adapter-file";
import { postgresServer } from "@lakesync/adapter-postgres";
import { recordSource } from "@lakesync/adapter-sources";
import { type SourceChange, unwrapOrThrow } from "@lakesync/core";
import { findPostgres, spawnScript, startPostgres, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { loadConfig } from "./config.ts";
import { startServer } from "./server.ts";

const PROGRAM = new URL("./materialise.ts", import.meta.url);
const { bin, skip } = await findPostgres();

/** A configuration whose tables for people are another process's work. */
function configOf(url: string, jobs: string): string {
  return `
    import { fileObjectStore } from "@lakesync/adapter-file";
    import { defineTable, integer } from "@lakesync/core";
    import { defineLake, postgres } from "@lakesync/deploy";
    export default defineLake({
      tables: [defineTable("notes", { n: integer() })],
      destinations: {
        pg: postgres({
          url: ${JSON.stringify(url)},
          materialise: { jobs: fileObjectStore({ directory: ${JSON.stringify(jobs)} }) },
        }),
      },
    });`;
}

test({
  name: "another process keeps the tables for people, killed and started again while data flows",
  skip,
  timeoutMs: 120_000,
}, () =>
  withTempDir(async (dir) => {
    await using pg = await startPostgres({ bin: bin! });
    const config = new URL(`./testdata/jobs_${dir.split("/").at(-1)}.config.ts`, import.meta.url);
    await writeFile(config, configOf(pg.url, `${dir}/jobs`));
    const start = () =>
      spawnScript(PROGRAM, {
        args: ["--config", config.pathname, "--every", "0.05", "--lease", "1"],
      });
    try {
      const { tables, destinations } = unwrapOrThrow(await loadConfig(config.pathname));
      const server = unwrapOrThrow(
        await startServer({ data: `${dir}/data`, tables, destinations }),
      );
      const gateway = server.gateways[0]!;
      const put = async (round: number) => {
        const changes = Array.from({ length: 50 }, (_, i): SourceChange => ({
          op: "upsert",
          table: "notes",
          rowId: `r${i}`,
          columns: new Map([["n", round]]),
        }));
        const records = () => changes;
        const source = recordSource({ name: `s${round}`, records, change: (change) => change });
        unwrapOrThrow(await gateway.ingest(source));
        unwrapOrThrow(await gateway.flush({ waitMs: 60_000 }));
      };
      const admin = unwrapOrThrow(await postgresServer({ url: pg.url }));
      const shown = async (): Promise<string> => {
        const text = "SELECT count(*), min(n), max(n) FROM notes";
        const rows = await admin.transaction((work) => work.run({ text, parameters: [] }));
        return rows.ok ? rows.value[0]!.join(" ") : rows.error.code;
      };
      const until = async (wanted: string) => {
        while (await shown() !== wanted);
      };
      await put(1);
      assertEquals(await shown(), "CONFLICT", "nobody has done it yet");
      const waiting = unwrapOrThrow(await gateway.stats()).destinations["pg"]?.behind;
      assertEquals(waiting, { done: 0, tables: { notes: { waiting: true } } });
      let program = start();
      await until("50 1 1");
      for (let round = 2; round <= 4; round++) {
        await put(round);
        program.kill("SIGKILL");
        await program.exited;
        program = start();
      }
      await until("50 4 4");
      program.kill("SIGTERM");
      assertEquals((await program.exited).code, 0, program.stderr);
      await put(5);
      assertEquals(await shown(), "50 4 4");
      // Nothing is lost where the gateway is killed and started anew, either.
      await server.stop();
      program = start();
      await until("50 5 5");
      program.kill("SIGTERM");
      await program.exited;
      const left = unwrapOrThrow(
        await fileObjectStore({ directory: `${dir}/jobs` }).list("default/pg/jobs/"),
      );
      assertEquals(left.objects, []);
      await admin.close();
    } finally {
      await rm(config);
    }
  }));

test("materialise says what is wrong with how it is called", async () => {
  const cases: [string[], RegExp][] = [
    [[], /--config FILE is missing/],
    [["--config", "/nowhere.ts"], /Cannot load/],
    [["--config", "x", "--every", "often"], /--every \\?"often\\?" is no number/],
    [["--what"], /Unknown option/],
  ];
  for (const [args, message] of cases) {
    const program = spawnScript(PROGRAM, { args });
    assert((await program.exited).code === 2);
    assertMatch(program.stderr, message);
  }
});
