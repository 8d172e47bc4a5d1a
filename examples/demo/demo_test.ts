import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawnScript, test, withTempDir } from "@lakesync/testing";

test({ name: "the demo does the main job and reports it", timeoutMs: 180_000 }, async () => {
  await using demo = spawnScript(new URL("./main.ts", import.meta.url));
  const exit = await demo.exited;
  assertEquals(exit, { code: 0, signal: null }, demo.stderr + demo.stdout);
  const report = demo.stdout;
  assertMatch(report, /device A imports airports\.csv\s+3,376 rows/);
  assertMatch(report, /device B syncs down\s+3,376 rows/);
  assertMatch(report, /source "flights" into the gateway\s+231,083 rows/);
  assertMatch(report, /SEA\s.*Sea-Tac, Seattle-Tacoma/);
  assertMatch(report, /JFK\s.*Kennedy, New York/);
  assertMatch(report, /ORD\s.*\(deleted\)/);
  // The lake alone does not know of the edits yet, its union with the unflushed deltas does.
  assertMatch(report, /3,376\s+3,376\n[^]*3,375\s+3,382\n/);
  assertMatch(report, /William P Hobby\s+Dallas Love\s+245\s+6\.9/);
  assertMatch(report, /ORD\s+Chicago O'Hare International\s+Chicago/);
  assertStringIncludes(report, "lake, data files");
  assertEquals(demo.stderr, "");
});

test({
  name: "demo --keep leaves the gateway running until it is told to stop",
  timeoutMs: 180_000,
}, () =>
  withTempDir(async (directory) => {
    await using demo = spawnScript(new URL("./main.ts", import.meta.url), {
      args: ["--keep"],
      env: { TMPDIR: directory },
    });
    const url = await demo.stdoutMatch(
      /curl (http:\S+)\/v1\/admin\/default\/stats\n[^]*Ctrl-C[^]*\/examples\/todo\n/,
    );
    const stats = await (await fetch(`${url}/v1/admin/default/stats`)).json() as {
      tables: Record<string, { rows: number }>;
    };
    assertEquals(stats.tables["airports"]?.rows, 3_375);
    assertEquals(stats.tables["lists"]?.rows, 5);
    const seen = async (person: string, table: string) => {
      const query = `clientId=${person}&tables=${table}`;
      const checkpoint = await fetch(`${url}/v1/sync/default/checkpoint?${query}`);
      return (await checkpoint.text()).split("\n").filter((line) => line.includes('"rowId"'))
        .length;
    };
    assertEquals(await seen("ben", "lists"), 4, "his own, and what Ann shares");
    assertEquals(await seen("someone", "airports"), 3_375);
    const pulled = await fetch(`${url}/v1/sync/default/pull?clientId=me&tables=airports&limit=3`);
    assertEquals(((await pulled.json()) as { deltas: unknown[] }).deltas.length, 3);
    const page = await fetch(`${url}/examples/todo`);
    assertStringIncludes(await page.text(), "<title>To-dos</title>");
    assertEquals((await demo.kill("SIGINT")).code, 0);
  }));
