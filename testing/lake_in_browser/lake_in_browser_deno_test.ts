import { icebergDestination } from "@lakesync/adapter-iceberg";
import { type FlushEntry, type ObjectStore, type TableSchema, unwrapOrThrow } from "@lakesync/core";
import { findChromium, makeDelta, memoryObjectStore, servePages } from "@lakesync/testing";
import { startChromium, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";

const { program, skip } = await findChromium();
const table = "todos";
const SCHEMA: TableSchema = {
  table,
  version: 1,
  columns: [
    { name: "title", type: "string", nullable: true },
    { name: "n", type: "integer", nullable: true },
    { name: "due", type: "timestamp", nullable: true },
  ],
};
const FILES = 4;
const ROWS = 50;

/** A lake with a file for each fifty rows. */
async function fill(store: ObjectStore): Promise<void> {
  const destination = icebergDestination({ store });
  for (let file = 0; file < FILES; file++) {
    const entries = Array.from({ length: ROWS }, (_, i): FlushEntry => {
      const seq = 1 + file * ROWS + i;
      const columns = [
        { column: "title", value: `Row ${seq}` },
        { column: "n", value: seq === 1 ? "9007199254740993" : seq },
        { column: "due", value: "2026-01-02T03:04:05.000006Z" },
      ];
      const rowId = `row-${String(seq).padStart(4, "0")}`;
      const hlc = String(65_536 * seq);
      const delta = makeDelta({ op: "INSERT", table, rowId, clientId: "a", columns, hlc });
      return { seq, at: 1_767_323_045_000 + seq, delta };
    });
    const outcomes = unwrapOrThrow(
      await destination.write({
        id: `batch-${file}`,
        to: { epoch: "e", seq: (file + 1) * ROWS },
        tables: new Map([[table, {
          schema: SCHEMA,
          from: file === 0 ? undefined : { epoch: "e", seq: file * ROWS },
        }]]),
        entries: (async function* () {
          yield await Promise.resolve(entries);
        })(),
      }),
    );
    assertEquals(outcomes.get(table)?.status, "committed");
  }
}

test({
  name:
    "a page asks an Iceberg lake over HTTP, reads only files that can match, and asks again offline",
  skip,
  timeoutMs: 240_000,
}, async () => {
  const lake = memoryObjectStore();
  await fill(lake);
  const fetched: string[] = [];
  await using server = await servePages({
    async handler(request) {
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith("/lake/")) return undefined;
      const key = pathname.slice("/lake/".length);
      fetched.push(key);
      const object = await lake.get(key);
      return object.ok
        ? new Response(new Uint8Array(object.value))
        : new Response("none", { status: 404 });
    },
  });
  const browser = await startChromium(program!);
  try {
    const context = await browser.newContext();
    const asked: string[] = [];
    context.on("request", (request) => asked.push(request.url()));
    const page = await context.newPage();
    await page.goto(`${server.url}/blank`);
    await page.evaluate(`(async () => {
      globalThis.m = await import("/testing/lake_in_browser/page_browser.ts");
      globalThis.analyst = await m.openOverHttp({ tables: ["todos_changes"] });
    })()`);
    const ask = async (sql: string): Promise<unknown> =>
      JSON.parse(
        await page.evaluate(
          `m.ask(analyst, ${JSON.stringify(sql)}).then((rows) =>
            JSON.stringify(rows, (_, value) => typeof value === "bigint" ? String(value) : value))`,
        ),
      );
    const files = () => fetched.filter((key) => key.endsWith(".parquet")).length;

    const one = "SELECT title, n, due FROM todos WHERE id = 'row-0001'";
    const row = { title: "Row 1", n: "9007199254740993", due: "2026-01-02T03:04:05.000006Z" };
    assertEquals(await ask(one), [row]);
    assertEquals(files(), 1, "one file can have the row");
    const all = "SELECT count(*) AS rows, max(_seq) AS seq FROM todos_changes";
    assertEquals(await ask(all), [{ rows: FILES * ROWS, seq: FILES * ROWS }]);
    assertEquals(files(), FILES, "each file is fetched once");

    await context.setOffline(true);
    const before = fetched.length;
    assertEquals(await ask(one), [row]);
    assertEquals(await ask(all), [{ rows: FILES * ROWS, seq: FILES * ROWS }]);
    assertEquals(
      await ask("SELECT count(*) AS n FROM todos_at('2026-01-01')"),
      [{ n: FILES * ROWS }],
    );
    assertEquals(fetched.length, before, "nothing reaches the server offline");
    await context.setOffline(false);

    // Nothing was asked of anybody else, extensions included.
    const elsewhere = asked.filter((url) => !url.startsWith(`${server.url}/`));
    assertEquals(elsewhere, []);
    assert(asked.some((url) => url.endsWith("/duckdb-eh.wasm")));
    assertEquals(await page.evaluate("globalThis.crossOriginIsolated"), false);
  } finally {
    await browser.close();
  }
});

test({
  name: "what is kept for offline use stays within its bound, and the rest is fetched again",
  skip,
  timeoutMs: 120_000,
}, async () => {
  await using server = await servePages({
    handler(request) {
      const { pathname } = new URL(request.url);
      return pathname.startsWith("/lake/") ? new Response(new Uint8Array(1000)) : undefined;
    },
  });
  const browser = await startChromium(program!);
  try {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${server.url}/blank`);
    const kept = await page.evaluate(`(async () => {
      const { keep } = await import("/testing/lake_in_browser/kept_browser.ts");
      return await keep({ maxBytes: 2500, keys: ["a.parquet", "b.parquet", "c.parquet"] });
    })()`);
    assertEquals(kept, ["b.parquet", "c.parquet"]);
  } finally {
    await browser.close();
  }
});
