import { type Delta, packHlc, type PageItem, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals, assertThrows } from "@std/assert";
import { pullFromGateway } from "./mod.ts";
import { NATIVE } from "./testdata/subject_native.ts";
import { rowsOf, type TestLake } from "./testdata/subject.ts";
import { TODOS, writeTodos } from "./testdata/todos.ts";

/** The gateway's clock, in ms. */
const NOW = 1_763_700_000_000;
const ROWS = "SELECT id, title, done FROM todos ORDER BY id";

function change(op: Delta["op"], rowId: string, hlc: number, title?: string): Delta {
  const columns = title === undefined ? [] : [{ column: "title", value: title }];
  return { op, table: "todos", rowId, clientId: "c", columns, hlc: String(hlc), deltaId: "" };
}

/** A gateway whose log is a list of pages; what it was asked stands in `asked`. */
class Gateway {
  readonly asked: string[] = [];
  readonly pages: PageItem[][] = [];
  /** How far a flush comes in all destinations. */
  flushedSeq = 4;
  /** How each of them is, where the gateway tells. */
  destinations: { [name: string]: { flushedSeq: number } } | undefined;
  failure: { status: number; code: string } | undefined;
  online = true;

  readonly fetch = (request: Request): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url);
    const route = pathname.slice(pathname.lastIndexOf("/") + 1);
    this.asked.push(route);
    if (!this.online) return Promise.reject(new TypeError("no network"));
    return Promise.resolve(this.#answer(route, searchParams));
  };

  #answer(route: string, query: URLSearchParams): Response {
    if (route === "checkpoint") {
      // The rest never comes: nobody waits for it.
      const header = { checkpoint: { seq: 4, cursor: String(this.pages.length), tables: [] } };
      const lines = new TextEncoder().encode(`${JSON.stringify(header)}\n{"table":"todos"`);
      return new Response(new ReadableStream({ start: (stream) => stream.enqueue(lines) }));
    }
    if (this.failure !== undefined) {
      const { status, code } = this.failure;
      const error = { code, message: "not now", requestId: "1" };
      return Response.json({ error }, { status });
    }
    if (route === "flush") return Response.json({ flushedSeq: this.flushedSeq });
    if (route === "stats") return Response.json({ destinations: this.destinations });
    const at = Number(query.get("cursor"));
    const deltas = this.pages[at] ?? [];
    const cursor = String(Math.min(at + 1, this.pages.length));
    const hasMore = Number(cursor) < this.pages.length;
    const schema = query.get("schema") === "1" ? {} : { schema: { tag: "1", tables: [TODOS] } };
    const serverHlc = packHlc({ wallMs: NOW, counter: 0 });
    return Response.json({ deltas, cursor, seq: 4, hasMore, serverHlc, ...schema });
  }
}

/** An analyst over a lake with `todos` and what a gateway has more. */
async function withPulled(
  use: (world: {
    gateway: Gateway;
    lake: TestLake;
    ask: (sql: string, options?: { asOf?: string }) => Promise<unknown>;
  }) => Promise<void>,
  { maxDeltas = 100 }: { maxDeltas?: number } = {},
): Promise<void> {
  await NATIVE.withLake(async (lake) => {
    await writeTodos(lake);
    const gateway = new Gateway();
    const { fetch } = gateway;
    const pulled = pullFromGateway({ url: "http://gw.test", clientId: "a", maxDeltas, fetch });
    const analyst = unwrapOrThrow(await NATIVE.open({ lake, pulled }));
    try {
      await use({
        gateway,
        lake,
        async ask(sql, options) {
          const answer = await analyst.query(sql, options);
          return answer.ok ? answer.value.rows : answer.error.code;
        },
      });
    } finally {
      await analyst.close();
    }
  });
}

test("pulled deltas, rows that enter and deletions are in an answer, on top of what the lake has", () =>
  withPulled(async ({ gateway, ask }) => {
    assertEquals(await ask(ROWS), [{ id: "1", title: "Milk", done: true }]);
    gateway.pages.push(
      [change("INSERT", "3", 300_000, "Bread"), change("UPDATE", "1", 300_001, "Oat milk")],
      [{
        op: "ENTER",
        table: "todos",
        rowId: "2",
        life: ["300002", "d"],
        columns: { title: ["Tea again", "300002", "d"], done: [true, "300003", "c"] },
      }],
    );
    assertEquals(await ask(ROWS), [
      { id: "1", title: "Oat milk", done: true },
      { id: "2", title: "Tea again", done: true },
      { id: "3", title: "Bread", done: null },
    ]);
    gateway.pages.push([
      { op: "DELETE", table: "todos", rowId: "1" },
      { op: "DELETE", table: "todos", rowId: "3" },
    ]);
    assertEquals(await ask(ROWS), [{ id: "2", title: "Tea again", done: true }]);
    // A row that is made again is there again.
    gateway.pages.push([{
      op: "ENTER",
      table: "todos",
      rowId: "3",
      life: ["300004", "d"],
      columns: { title: ["Rolls", "300004", "d"] },
    }]);
    assertEquals(await ask("SELECT title FROM todos WHERE id = '3'"), [{ title: "Rolls" }]);
    assertEquals(gateway.asked.filter((route) => route !== "pull"), ["checkpoint", "flush"]);
  }));

test("of a deletion that was pulled nobody tells who and when, and asOf leaves it out", () =>
  withPulled(async ({ gateway, ask }) => {
    await ask(ROWS);
    gateway.pages.push([{ op: "DELETE", table: "todos", rowId: "1" }]);
    const history = "SELECT _op, _hlc, _client_id, _seq FROM todos_history('1')";
    assertEquals((await ask(history) as unknown[]).at(-1), {
      _op: "DELETE",
      // One above the row's last known change.
      _hlc: 196_609,
      _client_id: null,
      _seq: null,
    });
    const asOf = packHlc({ wallMs: 1_000, counter: 0 });
    assertEquals(await ask(ROWS, { asOf }), [{ id: "1", title: "Milk", done: true }]);
  }));

test("once the lake has a pulled deletion, it is there once", () =>
  withPulled(async ({ gateway, lake, ask }) => {
    const history = "SELECT _op, _hlc, _seq FROM todos_history('1') WHERE _op = 'DELETE'";
    const count = "SELECT count(*) AS n FROM todos_changes WHERE id = '1' AND _op = 'DELETE'";
    await ask(ROWS);
    gateway.pages.push([{ op: "DELETE", table: "todos", rowId: "1" }]);
    assertEquals(await ask(history), [{ _op: "DELETE", _hlc: 196_609, _seq: null }]);
    // Its device had not seen the row's last change.
    const delta = change("DELETE", "1", 150_000);
    await lake.write("todos", {
      entries: [{ seq: 5, at: NOW - 1, delta }],
      to: { epoch: "e", seq: 5 },
    });
    assertEquals(await ask(history), [{ _op: "DELETE", _hlc: 150_000, _seq: 5 }]);
    assertEquals(await ask(count), [{ n: 1 }]);
    assertEquals(await ask(ROWS), []);
  }));

test("offline a pulled deletion does not hide a row that the lake has again since", () =>
  withPulled(async ({ gateway, lake, ask }) => {
    await ask(ROWS);
    gateway.pages.push([{ op: "DELETE", table: "todos", rowId: "1" }]);
    assertEquals(await ask(ROWS), []);
    gateway.online = false;
    // The INSERT was made before the pull and accepted after it.
    await lake.write("todos", {
      entries: [
        { seq: 5, at: NOW - 1, delta: change("DELETE", "1", 150_000) },
        { seq: 6, at: NOW + 1, delta: change("INSERT", "1", 160_000, "Oat milk") },
      ],
      to: { epoch: "e", seq: 6 },
    });
    assertEquals(await ask(ROWS), [{ id: "1", title: "Oat milk", done: true }]);
    const count = "SELECT count(*) AS n FROM todos_changes WHERE id = '1' AND _seq IS NULL";
    assertEquals(await ask(count), [{ n: 0 }]);
  }));

test("a deletion that is pulled after the lake has the row again counts", () =>
  withPulled(async ({ gateway, lake, ask }) => {
    await ask(ROWS);
    await lake.write("todos", {
      entries: [
        { seq: 5, at: NOW - 2, delta: change("DELETE", "1", 200_000) },
        { seq: 6, at: NOW - 1, delta: change("INSERT", "1", 200_001, "Oat milk") },
      ],
      to: { epoch: "e", seq: 6 },
    });
    assertEquals(await ask(ROWS), [{ id: "1", title: "Oat milk", done: null }]);
    gateway.pages.push([{ op: "DELETE", table: "todos", rowId: "1" }]);
    assertEquals(await ask(ROWS), []);
    const history = "SELECT _op, _hlc, _seq FROM todos_history('1')";
    assertEquals((await ask(history) as unknown[]).at(-1), {
      _op: "DELETE",
      _hlc: 200_002,
      _seq: null,
    });
  }));

test("what the gateway flushes later is there once", () =>
  withPulled(async ({ gateway, lake, ask }) => {
    await ask(ROWS);
    const insert = change("INSERT", "3", 300_000, "Bread");
    gateway.pages.push([insert]);
    const count = "SELECT count(*) AS n, count(_seq) AS flushed FROM todos_changes WHERE id = '3'";
    assertEquals(await ask(count), [{ n: 1, flushed: 0 }]);
    await lake.write("todos", {
      entries: [{ seq: 5, at: 1, delta: insert }],
      to: { epoch: "e", seq: 5 },
    });
    assertEquals(await ask(count), [{ n: 1, flushed: 1 }]);
  }));

test("a cursor that is not served any more, or too many deltas, have the gateway flush again", () =>
  withPulled(async ({ gateway, ask }) => {
    await ask(ROWS);
    gateway.pages.push([change("INSERT", "3", 300_000, "Bread")], [
      change("INSERT", "4", 300_001, "Jam"),
      change("INSERT", "5", 300_002, "Honey"),
    ]);
    // Two is the most: what came is in the lake after the flush, which here is none.
    gateway.asked.length = 0;
    assertEquals(await ask("SELECT count(*) AS n FROM todos"), [{ n: 1 }]);
    assertEquals(gateway.asked, ["pull", "pull", "checkpoint", "flush", "pull", "pull"]);
    gateway.failure = { status: 410, code: "CHECKPOINT_REQUIRED" };
    assertEquals(await ask(ROWS), "CHECKPOINT_REQUIRED");
    gateway.failure = undefined;
    assertEquals((await ask(ROWS) as unknown[]).length, 1);
  }, { maxDeltas: 2 }));

test("a token that is no admin's and a flush that takes long fail a query, with the next step", () =>
  withPulled(async ({ gateway, ask }) => {
    gateway.failure = { status: 403, code: "FORBIDDEN" };
    assertEquals(await ask(ROWS), "FORBIDDEN");
    gateway.failure = undefined;
    gateway.flushedSeq = 3;
    assertEquals(await ask(ROWS), "BACKPRESSURE");
    gateway.flushedSeq = 4;
    assertEquals((await ask(ROWS) as unknown[]).length, 1);
  }));

test("another destination that is down does not hold up what the lake has, a lake behind does", () =>
  withPulled(async ({ gateway, ask }) => {
    gateway.flushedSeq = 3;
    gateway.destinations = { lake: { flushedSeq: 3 }, pg: { flushedSeq: 4 } };
    assertEquals(await ask(ROWS), "BACKPRESSURE");
    gateway.destinations = { lake: { flushedSeq: 4 }, pg: { flushedSeq: 3 } };
    assertEquals((await ask(ROWS) as unknown[]).length, 1);
  }));

test("offline a query sees the lake and what was pulled before", () =>
  withPulled(async ({ gateway, ask }) => {
    gateway.online = false;
    assertEquals((await ask(ROWS) as unknown[]).length, 1);
    gateway.online = true;
    await ask(ROWS);
    gateway.pages.push([change("INSERT", "3", 300_000, "Bread")]);
    assertEquals((await ask(ROWS) as unknown[]).length, 2);
    gateway.online = false;
    assertEquals((await ask(ROWS) as unknown[]).length, 2);
  }));

test("what a device made and the gateway has by now is there once, and its new rows stay", () =>
  NATIVE.withLake(async (lake) => {
    await writeTodos(lake);
    const gateway = new Gateway();
    const insert = change("INSERT", "3", 300_000, "Bread");
    const again = change("INSERT", "1", 300_001, "Soy milk");
    const own = {
      schemas: () => Promise.resolve({ ok: true as const, value: [TODOS] }),
      async *read() {
        yield await Promise.resolve({ ok: true as const, value: [insert, again] });
      },
    };
    const { fetch } = gateway;
    const pulled = pullFromGateway({ url: "http://gw.test", clientId: "a", fetch });
    const analyst = unwrapOrThrow(await NATIVE.open({ lake, pulled, own }));
    await analyst.query(ROWS);
    gateway.pages.push([insert, { op: "DELETE", table: "todos", rowId: "1" }]);
    assertEquals(await rowsOf(analyst, "SELECT id, title FROM todos ORDER BY id"), [
      { id: "1", title: "Soy milk" },
      { id: "3", title: "Bread" },
    ]);
    const count = "SELECT count(*) AS n FROM todos_changes WHERE id = '3'";
    assertEquals(await rowsOf(analyst, count), [{ n: 1 }]);
    await analyst.close();
  }));

test("pullFromGateway() takes a URL only", () => {
  assertThrows(() => pullFromGateway({ url: "nowhere", clientId: "a" }), TypeError);
});
