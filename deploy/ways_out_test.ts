// Every way out of the gateway gives the same: pull, held pull, SSE, WebSocket; JSON and protobuf.
import { zstdDecompressSync } from "node:zlib";
import {
  decodePullAnswer,
  type Delta,
  hasReached,
  type LogSeq,
  type PageItem,
  type PullAnswer,
  unwrapOrThrow,
} from "@lakesync/core";
import { insertTodo, makeDelta, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type ListeningGateway, listeningGateway, SocketClient } from "./testdata/socket_client.ts";

type Params = { readonly [name: string]: string };

/** Reads pages from a cursor on until a seq. */
type Way = (served: ListeningGateway, params: Params, until: LogSeq) => AsyncGenerator<PullAnswer>;

const WAYS: ReadonlyMap<string, Way> = new Map<string, Way>([
  ["pull", pulls({})],
  ["pull in gzip", pulls({ "accept-encoding": "gzip" })],
  ["pull in zstd", pulls({ "accept-encoding": "zstd" })],
  ["pull as protobuf", pulls({ accept: "application/x-protobuf" })],
  ["pull with wait", pulls({}, { wait: "60" })],
  ["live", live],
  ["ws as JSON", socket("json")],
  ["ws as protobuf", socket("protobuf")],
]);

function pulls(headers: { readonly [name: string]: string }, more: Params = {}): Way {
  return async function* ({ url }, params, until) {
    for (let { cursor = "" } = params, seq: LogSeq = 0; !hasReached(seq, until);) {
      const query = new URLSearchParams({ ...params, ...more, cursor });
      const response = await fetch(`${url}/v1/sync/default/pull?${query}`, { headers });
      const bytes = unpacked(new Uint8Array(await response.arrayBuffer()));
      const page = headers.accept === undefined
        ? JSON.parse(new TextDecoder().decode(bytes)) as PullAnswer
        : unwrapOrThrow(decodePullAnswer(bytes));
      ({ cursor, seq } = page);
      yield page;
    }
  };
}

/** Deno's fetch leaves zstd as it is, Bun's unpacks it. */
function unpacked(bytes: Uint8Array): Uint8Array {
  const isZstd = [0x28, 0xb5, 0x2f, 0xfd].every((byte, i) => bytes[i] === byte);
  return isZstd ? zstdDecompressSync(bytes) : bytes;
}

async function* live({ url }: ListeningGateway, params: Params, until: LogSeq) {
  const response = await fetch(`${url}/v1/sync/default/live?${new URLSearchParams(params)}`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body!) {
    text += decoder.decode(bytes, { stream: true });
    const events = text.split("\n\n");
    text = events.pop()!;
    for (const event of events) {
      const [, id, data] = /^id: (.*)\ndata: (.*)$/s.exec(event) ?? [];
      const page = JSON.parse(data!) as PullAnswer;
      assertEquals(page.cursor, id);
      yield page;
      if (hasReached(page.seq, until)) return;
    }
  }
}

function socket(form: "json" | "protobuf"): Way {
  return async function* ({ url }, params, until) {
    await using client = await SocketClient.open(url, { form });
    const { clientId, cursor = "", limit, tables, own } = params;
    client.say({
      type: "pull",
      id: "s",
      clientId: clientId!,
      cursor,
      ...(limit !== undefined && { limit: Number(limit) }),
      ...(tables !== undefined && { tables: tables.split(",") }),
      ...(own !== undefined && { own: "ids" as const }),
    });
    for (;;) {
      const { type: _, id, ...page } = await client.page();
      assertEquals(id, "s");
      yield page;
      if (hasReached(page.seq, until)) return;
    }
  };
}

const NOTES = {
  table: "notes",
  version: 1,
  columns: [{ name: "n", type: "integer", nullable: true }],
} as const;

const TODOS = {
  table: "todos",
  version: 1,
  columns: [
    { name: "title", type: "string" },
    { name: "done", type: "boolean" },
    { name: "note", type: "json", nullable: true },
  ],
} as const;

function change(
  op: "UPDATE" | "DELETE",
  rowId: string,
  hlc: number,
  columns: { readonly [column: string]: string | boolean | null } = {},
  txId?: string,
): Delta {
  return makeDelta({
    op,
    table: "todos",
    rowId,
    clientId: "alice:phone",
    hlc: String(hlc),
    columns: Object.entries(columns).map(([column, value]) => ({ column, value })),
    ...(txId !== undefined && { txId }),
  });
}

/** Deltas, DELETE, ENTER, stripped deltas, whole transactions, deltas of which nothing goes out. */
function history(from: number): Delta[] {
  const row = `r${from}`;
  return [
    insertTodo(row, from + 1),
    change("UPDATE", row, from + 5, { done: true, title: "new" }, `tx${from}`),
    change("UPDATE", row, from + 3, { done: false, note: null }),
    change("DELETE", row, from + 7),
    change("UPDATE", row, from + 6, { title: "lost" }),
    insertTodo(row, from + 8),
    change("UPDATE", "never", from + 9, { title: "no row" }),
    insertTodo("never", from + 10),
    makeDelta({
      op: "INSERT",
      table: "notes",
      rowId: `n${from}`,
      clientId: "alice:phone",
      hlc: String(from + 11),
      columns: [{ column: "n", value: from % 2 === 0 ? "9007199254740993" : from }],
    }),
    ...Array.from({ length: 4 }, (_, i) => ({ ...insertTodo(`${row}.${i}`, from + 20 + i) }))
      .map((delta) => ({ ...delta, txId: `many${from}` })),
  ];
}

const VIEWS: readonly Params[] = [
  { clientId: "bob" },
  { clientId: "bob", limit: "3" },
  { clientId: "bob", tables: "notes" },
  { clientId: "alice:phone", own: "ids", limit: "5" },
];

test("every way out gives the same items in the same order, and cursors that go on on any other", async () => {
  await using served = await listeningGateway({ tables: [TODOS, NOTES] });
  const push = async (from: number) => {
    const body = { clientId: "alice:phone", deltas: history(from) };
    const answer = unwrapOrThrow(await served.gateway.push(body, { sub: undefined }));
    assertEquals(answer.rejected, []);
    return answer.seq;
  };
  let head: LogSeq = 0;
  for (let i = 0; i < 5; i++) head = await push(1 + 100 * i);
  for (const view of VIEWS) {
    let expected: PageItem[] | undefined;
    const cursors: string[] = [];
    for (const [name, way] of WAYS) {
      const items: PageItem[] = [];
      for await (const page of way(served, view, head)) {
        items.push(...page.deltas);
        cursors.push(page.cursor);
      }
      expected ??= items;
      assert(items.length > 0);
      assertEquals(items, expected, `${name} ${JSON.stringify(view)}`);
    }
    // Each cursor of each way is good on each other way, and what comes after it is the rest.
    const ways = [...WAYS.entries()];
    for (const [i, cursor] of cursors.entries()) {
      const [name, way] = ways[i % ways.length]!;
      if (cursor.split(".")[2] === String(head)) continue;
      const items: PageItem[] = [];
      for await (const page of way(served, { ...view, cursor }, head)) items.push(...page.deltas);
      assertEquals(items, expected!.slice(expected!.length - items.length), `${name} ${cursor}`);
    }
  }
});

test("every way out gives what comes later as it comes", async () => {
  await using served = await listeningGateway({ tables: [TODOS, NOTES] });
  const deltas = Array.from({ length: 4 }, (_, i) => history(1 + 100 * i)).flat();
  const readers = [...WAYS].map(async ([name, way]) => {
    const items: PageItem[] = [];
    for await (const page of way(served, { clientId: "bob" }, deltas.length)) {
      items.push(...page.deltas);
    }
    return { name, items };
  });
  for (let at = 0; at < deltas.length;) {
    // Transactions stay whole: so many at once as their history has.
    const body = { clientId: "alice:phone", deltas: deltas.slice(at, at += 13) };
    const response = await fetch(`${served.url}/v1/sync/default/push`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    assertEquals((await response.json()).rejected, []);
  }
  const [first, ...others] = await Promise.all(readers);
  for (const { name, items } of others) assertEquals(items, first!.items, name);
});
