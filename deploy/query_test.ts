import { join } from "node:path";
import { defineTable, integer, packHlc, string, unwrapOrThrow } from "@lakesync/core";
import { createGateway, openSqliteLogStore } from "@lakesync/gateway";
import { makeDelta, spawnScript, test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseQueryArgs } from "./query_args.ts";
import { type RunningServer, startServer } from "./server.ts";

const QUERY = new URL("./query.ts", import.meta.url);
const todos = defineTable("todos", { title: string().nullable(), n: integer().nullable() });
const stamp = (day: number) => packHlc({ wallMs: Date.UTC(2026, 0, day), counter: 0 });

interface Answer {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function query(data: string, ...args: string[]): Promise<Answer> {
  await using process = spawnScript(QUERY, { args: [...args, "--data", data] });
  const { code } = await process.exited;
  return { exit: code, stdout: process.stdout, stderr: process.stderr };
}

async function serve(data: string): Promise<RunningServer> {
  return unwrapOrThrow(
    await startServer({ data, tables: [todos.schema], flushEvery: 86_400 }),
  );
}

async function push(server: RunningServer, id: string, values: Record<string, unknown>, day = 1) {
  const delta = makeDelta({
    op: "INSERT",
    table: "todos",
    rowId: id,
    clientId: "alice",
    hlc: stamp(day),
    columns: Object.entries(values).map(([column, value]) => ({ column, value: value as string })),
  });
  const body = { clientId: "alice", deltas: [delta] };
  const answer = unwrapOrThrow(await server.gateways[0]!.push(body, { sub: undefined }));
  assertEquals(answer.rejected, []);
}

test("query answers as JSON, CSV and as a table, with what a gateway has not flushed", () =>
  withTempDir(async (directory) => {
    const data = join(directory, "data");
    const server = await serve(data);
    await push(server, "a", { title: 'say "hi",\u001b[31m', n: "9007199254740993" });
    unwrapOrThrow(await server.gateways[0]!.flush());
    await push(server, "b", { title: "", n: null }, 2);

    const sql = "SELECT id, title, n FROM todos ORDER BY id";
    const running = await query(data, sql, "--format", "json");
    assertEquals(JSON.parse(running.stdout).length, 1);
    assertStringIncludes(running.stderr, "add --gateway URL");
    const flushing = await query(data, sql, "--gateway", server.url);
    assertEquals([flushing.exit, flushing.stderr], [0, ""]);
    assertEquals(JSON.parse(flushing.stdout), [
      { id: "a", title: 'say "hi",\u001b[31m', n: "9007199254740993" },
      { id: "b", title: "", n: null },
    ]);
    await push(server, "c", { title: null, n: 7 }, 3);
    await server.stop();

    assertEquals(await query(data, sql, "--format", "csv"), {
      exit: 0,
      stdout: 'id,title,n\r\na,"say ""hi"",\u001b[31m",9007199254740993\r\nb,"",\r\nc,,7\r\n',
      stderr: "",
    });
    assertEquals(
      (await query(data, sql, "--format", "table")).stdout,
      [
        "id  title                               n",
        "--  -------------------  ----------------",
        'a   say "hi",\\u001b[31m  9007199254740993',
        "b                                    NULL",
        "c   NULL                                7",
        "(3 rows)",
        "",
      ].join("\n"),
    );
    assertEquals(JSON.parse((await query(data, sql, "--as-of", "2026-01-02")).stdout).length, 2);
    assertEquals(JSON.parse((await query(data, sql, "--as-of", stamp(1))).stdout).length, 1);
    assertEquals((await query(data, "SELECT * FROM todos WHERE n = 0")).stdout, "[]\n");
  }));

test("query has the deltas of a log that nobody has open, before any flush too", () =>
  withTempDir(async (directory) => {
    const data = join(directory, "data");
    const store = unwrapOrThrow(
      await openSqliteLogStore({ path: join(data, "gateways", "default", "log.db") }),
    );
    const gateway = unwrapOrThrow(
      await createGateway({ id: "default", store, tables: [todos.schema] }),
    );
    const columns = [{ column: "n", value: 1 }];
    const delta = makeDelta({
      op: "INSERT",
      table: "todos",
      rowId: "r",
      clientId: "a",
      hlc: "1",
      columns,
    });
    unwrapOrThrow(await gateway.push({ clientId: "a", deltas: [delta] }, { sub: undefined }));
    await gateway.close();
    const { stdout } = await query(data, "SELECT id, n FROM todos");
    assertEquals(JSON.parse(stdout), [{ id: "r", n: 1 }]);
  }));

test("what query cannot do is said with the next step, on stderr, with exit 1 or 2", () =>
  withTempDir(async (directory) => {
    const data = join(directory, "data");
    const none = await query(data, "SELECT 1");
    assertEquals(none.exit, 1);
    assertStringIncludes(none.stderr, 'NOT_FOUND: There is no gateway "default" in');
    const server = await serve(data);
    await push(server, "a", { n: 1 });
    unwrapOrThrow(await server.gateways[0]!.flush());
    const { url } = server;
    await server.stop();
    const unknown = await query(data, "SELECT * FROM nothing");
    assertEquals([unknown.exit, unknown.stdout], [1, ""]);
    assertStringIncludes(unknown.stderr, "there are todos, todos_changes");
    const offline = await query(data, "SELECT 1", "--gateway", url);
    assertStringIncludes(offline.stderr, "OFFLINE: Cannot reach");
    const usage = await query(data);
    assertEquals(usage.exit, 2);
    assertStringIncludes(usage.stderr, 'there is no query: give "SELECT …"; see --help');
  }));

test("parseQueryArgs() reads moments, snapshots and formats, and refuses what is neither", () => {
  const parse = (...args: string[]) => parseQueryArgs(["SELECT 1", ...args]);
  const args = unwrapOrThrow(
    parse("--as-of", "todos@8000000000000000001", "--as-of", "2026-01-31 12:00"),
  );
  if (args === "help") throw new TypeError("Not asked for");
  assertEquals(args.snapshots, new Map([["todos", 8_000_000_000_000_000_001n]]));
  assertEquals(args.asOf, new Date(Date.UTC(2026, 0, 31, 12)));
  for (
    const wrong of [
      ["--as-of", "yesterday"],
      ["--as-of", "2026-13-01"],
      ["--as-of", "2026"],
      ["--as-of", "2026-01-01", "--as-of", "2026-01-02"],
      ["--format", "xml"],
      ["--gateway", "localhost"],
      ["--id", "../x"],
      ["FROM todos"],
      ["--nothing"],
    ]
  ) {
    const parsed = parse(...wrong);
    assertEquals(parsed.ok ? parsed.value : parsed.error.code, "VALIDATION_ERROR", wrong.join(" "));
  }
});
