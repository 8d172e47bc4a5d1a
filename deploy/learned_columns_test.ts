// A gateway's tables get wider while apps that do not know of it run: their SQLite learns.
import { join } from "node:path";
import {
  createClient,
  httpTransport,
  type SyncSummary,
  webSocketTransport,
} from "@lakesync/client";
import { protobufFrames } from "@lakesync/client/protobuf";
import {
  boolean,
  bytes,
  decodePullAnswer,
  defineTable,
  integer,
  json,
  packHlc,
  PROTOBUF_TYPE,
  type PullAnswer,
  string,
  type Table,
  type TableSchema,
  timestamp,
  unwrapOrThrow,
} from "@lakesync/core";
import { makeDelta, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type RunningServer, startServer } from "./server.ts";

const before = defineTable("todos", { title: string() });
const after = defineTable("todos", { title: string(), due: integer().nullable() }, { version: 2 });

/** A gateway, and devices that are opened and closed. */
class World implements AsyncDisposable {
  readonly directory: string;
  readonly server: RunningServer;
  /** The routes that the devices of HTTP have asked. */
  readonly asked: string[] = [];
  readonly #open: { close(): Promise<void> }[] = [];

  constructor(directory: string, server: RunningServer) {
    this.directory = directory;
    this.server = server;
  }

  static async start(directory: string, tables: readonly TableSchema[]): Promise<World> {
    const data = join(directory, "data");
    return new World(directory, unwrapOrThrow(await startServer({ data, tables })));
  }

  async device<T extends Table>(
    table: T,
    name: string,
    { way = "http", auto = false }: { way?: "http" | "ws" | "ws in protobuf"; auto?: boolean } = {},
  ) {
    const { url } = this.server;
    const form = way === "ws" ? {} : { frames: protobufFrames };
    const transport = way !== "http" ? webSocketTransport({ url, ...form }) : httpTransport({
      url,
      fetch: (request) => {
        this.asked.push(new URL(request.url).pathname.split("/").at(-1)!);
        return fetch(request);
      },
    });
    const client = unwrapOrThrow(
      await createClient({
        tables: [table],
        database: join(this.directory, `${name}.db`),
        clientId: name,
        transport,
        sync: { auto },
      }),
    );
    this.#open.push(client);
    return client;
  }

  async putSchema(...tables: readonly Table[]): Promise<void> {
    const body = JSON.stringify({ tables: tables.map(({ schema }) => schema) });
    const put = { method: "PUT", body };
    const answer = await fetch(`${this.server.url}/v1/admin/default/schema`, put);
    assertEquals(answer.status, 200, await answer.text());
  }

  async pull(query: string, accept = "application/json"): Promise<Response> {
    const pulled = await fetch(`${this.server.url}/v1/sync/default/pull?clientId=raw&${query}`, {
      headers: { accept },
    });
    assertEquals(pulled.status, 200);
    return pulled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#open) await client.close();
    await this.server.stop();
  }
}

interface Asked {
  query(sql: string): Promise<Parameters<typeof unwrapOrThrow>[0]>;
}

async function rowsOf(client: Asked, sql = "SELECT * FROM todos ORDER BY id"): Promise<object[]> {
  const rows = unwrapOrThrow(await client.query(sql)) as readonly object[];
  return rows.map((row) => ({ ...row }));
}

async function sync(client: { syncOnce(): Promise<Parameters<typeof unwrapOrThrow>[0]> }) {
  return unwrapOrThrow(await client.syncOnce()) as SyncSummary;
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Asks until the rows are as they should be. */
async function until(client: Asked, expected: readonly object[]): Promise<void> {
  const wanted = JSON.stringify(expected);
  while (JSON.stringify(await rowsOf(client)) !== wanted) {
    await soon();
  }
}

for (const way of ["http", "ws", "ws in protobuf"] as const) {
  test(`a running client learns a new column with its next answer, over ${way}; later versions of its app have it without a checkpoint`, () =>
    withTempDir(async (directory) => {
      await using world = await World.start(directory, [before.schema]);
      let old = await world.device(before, "old", { way, auto: true });
      unwrapOrThrow(await old.tables.todos.insert({ id: "1", title: "Milk" }));
      while (unwrapOrThrow(await old.pending()) > 0) await soon();
      const writer = await world.device(before, "writer");
      await sync(writer);
      await writer.close();

      await world.putSchema(after);
      const wide = await world.device(after, "writer");
      unwrapOrThrow(await wide.tables.todos.insert({ id: "2", title: "Tea", due: 7 }));
      unwrapOrThrow(await wide.tables.todos.update("1", { due: 3 }));
      await sync(wide);
      // The live connection, opened under the old schema, brings rows and column at once.
      await until(old, [{ id: "1", title: "Milk", due: 3 }, { id: "2", title: "Tea", due: 7 }]);
      const live: object[][] = [];
      const stop = old.live("SELECT id, due FROM todos ORDER BY id").subscribe((rows) => {
        live.push(rows.map((row) => ({ ...row })));
      });
      // It goes on to write what it knows, and leaves the rest as it is.
      unwrapOrThrow(await old.tables.todos.update("2", { title: "Green tea" }));
      unwrapOrThrow(await old.tables.todos.delete("1"));
      unwrapOrThrow(await old.tables.todos.insert({ id: "1", title: "Oat milk" }));
      const now = [{ id: "1", title: "Oat milk", due: null }, {
        id: "2",
        title: "Green tea",
        due: 7,
      }];
      assertEquals(await rowsOf(old), now);
      assertEquals(unwrapOrThrow(await old.tables.todos.get("2")), { id: "2", title: "Green tea" });
      await old.syncOnce();
      await sync(wide);
      assertEquals(await rowsOf(wide), now);
      unwrapOrThrow(await wide.tables.todos.update("1", { due: 4 }));
      await sync(wide);
      now[0] = { ...now[0]!, due: 4 } as typeof now[0];
      await until(old, now);
      stop();
      assert(live.length > 0);
      await old.close();

      // A restart of the same app, offline.
      old = await world.device(before, "old", { way: "http" });
      assertEquals(await rowsOf(old), now);
      await sync(old);
      await old.close();

      // The app's next version: the column is there, and the cursor is good.
      world.asked.length = 0;
      const grown = await world.device(after, "old", { way: "http" });
      assertEquals(await rowsOf(grown), now);
      assertEquals(unwrapOrThrow(await grown.tables.todos.get("1")), {
        id: "1",
        title: "Oat milk",
        due: 4,
      });
      unwrapOrThrow(await grown.tables.todos.update("1", { due: 5 }));
      await sync(grown);
      await sync(wide);
      assertEquals((await rowsOf(wide))[0], { id: "1", title: "Oat milk", due: 5 });
      assertEquals(world.asked.filter((route) => route === "checkpoint"), []);
    }));
}

test("a client that was away while the tables grew twice learns all of it, and its own changes arrive", () =>
  withTempDir(async (directory) => {
    const third = defineTable("todos", {
      title: string(),
      due: integer().nullable(),
      done: boolean().nullable(),
    }, { version: 3 });
    await using world = await World.start(directory, [before.schema]);
    const away = await world.device(before, "away");
    unwrapOrThrow(await away.tables.todos.insert({ id: "1", title: "Milk" }));
    await sync(away);
    await world.putSchema(after);
    const two = await world.device(after, "two");
    await sync(two);
    unwrapOrThrow(await two.tables.todos.update("1", { due: 1 }));
    await sync(two);
    await world.putSchema(third);
    const three = await world.device(third, "three");
    await sync(three);
    unwrapOrThrow(await three.tables.todos.update("1", { done: true }));
    await sync(three);
    await sync(two);
    unwrapOrThrow(await away.tables.todos.update("1", { title: "Oat milk" }));
    unwrapOrThrow(await away.tables.todos.insert({ id: "2", title: "Tea" }));
    const taken = await sync(away);
    assertEquals(taken.checkpointRows, 0);
    await sync(two);
    await sync(three);
    const rows = [
      { id: "1", title: "Oat milk", due: 1, done: 1 },
      { id: "2", title: "Tea", due: null, done: null },
    ];
    for (const client of [away, two, three]) assertEquals(await rowsOf(client), rows);
    // The versions between declare one of the two; the other stays learned.
    await away.close();
    const later = await world.device(after, "away");
    assertEquals(await rowsOf(later), rows);
    assertEquals(unwrapOrThrow(await later.tables.todos.get("1")), {
      id: "1",
      title: "Oat milk",
      due: 1,
    });
    assertEquals((await sync(later)).checkpointRows, 0);
  }));

const wideOnes = {
  flag: boolean().nullable(),
  big: integer().nullable(),
  when: timestamp().nullable(),
  raw: bytes().nullable(),
  any: json().nullable(),
  text: string().nullable(),
};

test("a new device with an old app takes a checkpoint, then learns values of every type in it", () =>
  withTempDir(async (directory) => {
    const wide = defineTable("todos", { title: string(), ...wideOnes }, { version: 2 });
    await using world = await World.start(directory, [wide.schema]);
    const push = async (rowId: string, columns: { column: string; value: unknown }[]) => {
      const content = { op: "INSERT", table: "todos", rowId, clientId: "raw" } as const;
      const hlc = packHlc({ wallMs: 1_700_000_000_000, counter: columns.length + rowId.length });
      const delta = makeDelta({ ...content, hlc, columns: columns as never });
      const answer = await fetch(`${world.server.url}/v1/sync/default/push`, {
        method: "POST",
        body: JSON.stringify({ clientId: "raw", deltas: [delta] }),
      });
      assertEquals((await answer.json()).accepted, 1);
    };
    await push("a\0b", [
      { column: "title", value: 'with "flag":[true] in it' },
      { column: "flag", value: true },
      { column: "big", value: "9007199254740993" },
      { column: "when", value: "2026-01-02T03:04:05.000006Z" },
      { column: "raw", value: "AAEC" },
      { column: "any", value: { b: [1, "x"], a: null } },
      { column: "text", value: "né\0e" },
    ]);
    await push("plain", [{ column: "title", value: 'says "flag": nothing' }]);
    const declared = await world.device(wide, "declared");
    await sync(declared);
    const device = await world.device(before, "device");
    const { checkpointRows } = await sync(device);
    assertEquals(checkpointRows, 2);
    const sql =
      'SELECT hex(id) AS id, title, flag, CAST(big AS TEXT) AS big, "when", hex(raw) AS raw, ' +
      '"any", hex(text) AS text, typeof(big) AS type FROM todos ORDER BY id';
    const rows = await rowsOf(device, sql);
    assertEquals(rows[0], {
      id: "610062",
      title: 'with "flag":[true] in it',
      flag: 1,
      big: "9007199254740993",
      when: "2026-01-02T03:04:05.000006Z",
      raw: "000102",
      any: '{"a":null,"b":[1,"x"]}',
      text: "6EC3A90065",
      type: "integer",
    });
    assertEquals(rows, await rowsOf(declared, sql));
  }));

test("a rejected change of a row brings its learned columns back, and a checkpoint keeps them", () =>
  withTempDir(async (directory) => {
    await using world = await World.start(directory, [after.schema]);
    const wide = await world.device(after, "wide");
    unwrapOrThrow(await wide.tables.todos.insert({ id: "1", title: "Milk", due: 3 }));
    await sync(wide);
    const old = await world.device(before, "old");
    await sync(old);
    const rules = {
      version: 1,
      buckets: [{ name: "all", tables: ["todos"], filters: [] }],
      write: [{
        name: "none",
        tables: ["todos"],
        filters: [{ column: "id", op: "eq", value: "x" }],
      }],
    };
    const put = { method: "PUT", body: JSON.stringify(rules) };
    assertEquals((await fetch(`${world.server.url}/v1/admin/default/rules`, put)).status, 200);
    unwrapOrThrow(await old.tables.todos.delete("1"));
    assertEquals(await rowsOf(old), []);
    // The rules have changed what may be seen: a checkpoint comes, then the rejection.
    const summary = await sync(old);
    assertEquals([summary.rejected, summary.checkpointRows], [1, 1]);
    assertEquals(await rowsOf(old), [{ id: "1", title: "Milk", due: 3 }]);
    unwrapOrThrow(await old.tables.todos.delete("1"));
    assertEquals((await sync(old)).checkpointRows, 0);
    assertEquals(await rowsOf(old), [{ id: "1", title: "Milk", due: 3 }]);
  }));

test("an app that declares a learned column as something else is refused, with what to do", () =>
  withTempDir(async (directory) => {
    await using world = await World.start(directory, [after.schema]);
    const old = await world.device(before, "old");
    await sync(old);
    await old.close();
    for (const columns of [{ due: string().nullable() }, { DUE: integer().nullable() }]) {
      const other = defineTable("todos", { title: string(), ...columns }, { version: 2 });
      const opened = await createClient({
        tables: [other],
        database: join(directory, "old.db"),
        clientId: "old",
      });
      assert(!opened.ok);
      assertEquals(opened.error.code, "CONFLICT");
      assert(
        opened.error.message.includes('the gateway has "due" (integer) there'),
        opened.error.message,
      );
    }
    const again = await world.device(after, "old");
    assertEquals(await rowsOf(again), []);
  }));

test("a database of a client that dropped what it did not know takes one checkpoint", () =>
  withTempDir(async (directory) => {
    await using world = await World.start(directory, [after.schema]);
    const wide = await world.device(after, "wide");
    unwrapOrThrow(await wide.tables.todos.insert({ id: "1", title: "Milk", due: 3 }));
    await sync(wide);
    const old = await world.device(before, "old");
    await sync(old);
    await old.close();
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(join(directory, "old.db"));
    for (
      const sql of [
        "ALTER TABLE lakesync_state DROP COLUMN learned",
        "ALTER TABLE lakesync_state DROP COLUMN stated",
        "ALTER TABLE todos DROP COLUMN due",
        `UPDATE lakesync_base_todos SET state = json_remove(state, '$[2].due')`,
      ]
    ) database.exec(sql);
    database.close();
    const renewed = await world.device(before, "old");
    assertEquals((await sync(renewed)).checkpointRows, 1);
    assertEquals(await rowsOf(renewed), [{ id: "1", title: "Milk", due: 3 }]);
  }));

test("who does not ask for the tables is not told them; who asks is told those that it may see", () =>
  withTempDir(async (directory) => {
    const secret = defineTable("secret", { word: string() });
    await using world = await World.start(directory, [after.schema, secret.schema]);
    const plain = await (await world.pull("schemaVersion=1")).json();
    assertEquals(Object.keys(plain), ["deltas", "cursor", "seq", "hasMore", "serverHlc"]);
    const told = await (await world.pull("schemaVersion=1&schema=")).json() as PullAnswer;
    assertEquals(told.schema?.tables, [after.schema, secret.schema]);
    assertEquals(told.cursor, plain.cursor, "what was learned is no part of a cursor");
    const { tag } = told.schema!;
    const known = await (await world.pull(`schemaVersion=1&schema=${tag}`)).json();
    assertEquals(known.schema, undefined);
    const some = await (await world.pull("schema=&tables=todos")).json() as PullAnswer;
    assertEquals(some.schema, { tag, tables: [after.schema] });
    const frame = await world.pull("schema=&tables=todos", PROTOBUF_TYPE);
    const decoded = unwrapOrThrow(decodePullAnswer(await frame.bytes()));
    assertEquals(decoded.schema, some.schema!);
    const rules = {
      version: 1,
      buckets: [
        { name: "todos", tables: ["todos"], filters: [] },
        {
          name: "secret",
          tables: ["secret"],
          filters: [{ column: "word", op: "eq", value: "jwt:word" }],
        },
      ],
    };
    const put = { method: "PUT", body: JSON.stringify(rules) };
    assertEquals((await fetch(`${world.server.url}/v1/admin/default/rules`, put)).status, 200);
    const ruled = await (await world.pull("schema=")).json() as PullAnswer;
    assertEquals(ruled.schema?.tables, [after.schema]);
  }));

test("what one process has learned, another one on the same database goes by", () =>
  withTempDir(async (directory) => {
    await using world = await World.start(directory, [before.schema]);
    const one = await world.device(before, "shared");
    await sync(one);
    const two = await world.device(before, "shared");
    assertEquals(await rowsOf(two), []);
    await world.putSchema(after);
    const wide = await world.device(after, "wide");
    unwrapOrThrow(await wide.tables.todos.insert({ id: "1", title: "Milk", due: 3 }));
    await sync(wide);
    await sync(one);
    unwrapOrThrow(await wide.tables.todos.update("1", { due: 4 }));
    unwrapOrThrow(await wide.tables.todos.insert({ id: "2", title: "Tea", due: 5 }));
    await sync(wide);
    unwrapOrThrow(await two.tables.todos.update("1", { title: "Oat milk" }));
    await sync(two);
    const rows = [{ id: "1", title: "Oat milk", due: 4 }, { id: "2", title: "Tea", due: 5 }];
    assertEquals([await rowsOf(one), await rowsOf(two)], [rows, rows]);
  }));

test("a live stream tells the tables with its first event, and with the first one after they have grown", () =>
  withTempDir(async (directory) => {
    await using world = await World.start(directory, [before.schema]);
    const live = await fetch(`${world.server.url}/v1/sync/default/live?clientId=raw&schema=`);
    let text = "";
    const reader = live.body!.pipeThrough(new TextDecoderStream()).getReader();
    const event = async (): Promise<PullAnswer> => {
      while (!text.includes("\n\n")) text += (await reader.read()).value;
      const end = text.indexOf("\n\n");
      const data = text.slice(0, end).split("\n").find((line) => line.startsWith("data: "))!;
      text = text.slice(end + 2);
      return JSON.parse(data.slice("data: ".length));
    };
    assertEquals((await event()).schema?.tables, [before.schema]);
    const writer = await world.device(before, "writer");
    const write = async (title: string) => {
      unwrapOrThrow(await writer.tables.todos.insert({ title }));
      await sync(writer);
    };
    await write("Milk");
    assertEquals((await event()).schema, undefined);
    await world.putSchema(after);
    await write("Tea");
    assertEquals((await event()).schema?.tables, [after.schema]);
    await write("Rice");
    assertEquals((await event()).schema, undefined);
    await reader.cancel();
  }));

test("through a router a client learns from all shards", () =>
  withTempDir(async (directory) => {
    const notes = defineTable("notes", { text: string() });
    const wide = defineTable("notes", { text: string(), mood: string().nullable() }, {
      version: 2,
    });
    const started = await startServer({
      data: join(directory, "data"),
      tables: [before.schema, notes.schema],
      shards: [{ name: "notes", tables: ["notes"] }],
    });
    await using world = new World(directory, unwrapOrThrow(started));
    const old = await world.device(notes, "old");
    unwrapOrThrow(await old.tables.notes.insert({ id: "1", text: "x" }));
    await sync(old);
    await world.putSchema(before, wide);
    const grown = await world.device(wide, "grown");
    await sync(grown);
    unwrapOrThrow(await grown.tables.notes.update("1", { mood: "good" }));
    await sync(grown);
    await sync(old);
    assertEquals(await rowsOf(old, "SELECT * FROM notes"), [{ id: "1", text: "x", mood: "good" }]);
    const told = await (await world.pull("schema=")).json() as PullAnswer;
    const names = told.schema!.tables.map(({ table }) => table).sort();
    assertEquals(names, ["notes", "todos"]);
    const { tag } = told.schema!;
    assertEquals((await (await world.pull(`schema=${tag}`)).json()).schema, undefined);
  }));
