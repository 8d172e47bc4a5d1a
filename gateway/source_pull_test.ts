import {
  err,
  type JsonValue,
  LakeSyncError,
  ok,
  type PullAnswer,
  type Result,
  type Rules,
  type Source,
  type SourceBatch,
  type SourceChange,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { openRuled, type RuledGateway, task, type Who } from "./testdata/rules_fixture.ts";

const ANN: Who = { sub: "ann" };

const OWN: Rules = {
  version: 1,
  buckets: [{
    name: "own",
    tables: ["tasks"],
    filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
  }],
};

function upsert(rowId: string, columns: { readonly [name: string]: JsonValue }): SourceChange {
  return { op: "upsert", table: "tasks", rowId, columns: new Map(Object.entries(columns)) };
}

function sourceOf(batches: readonly (readonly SourceChange[])[]): Source {
  return {
    name: "crm",
    async *read({ cursor }): AsyncGenerator<Result<SourceBatch>> {
      for (let i = Number(cursor ?? 0); i < batches.length; i++) {
        await Promise.resolve();
        yield ok({ changes: batches[i]!, cursor: String(i + 1) });
      }
    },
  };
}

const MIXED = sourceOf([
  [upsert("a", { owner: "ann", title: "x" }), upsert("b", { owner: "bob" })],
  [upsert("c", { owner: null }), upsert("d", { owner: "ann" }), upsert("e", { owner: "ann" })],
]);

async function readAll(ruled: RuledGateway, who: Who, limit: string): Promise<string[]> {
  const rows: string[] = [];
  for (let cursor = "";;) {
    const page: PullAnswer = await ruled.pull(who, { source: "crm", cursor, limit });
    rows.push(...page.deltas.map((item) => "rowId" in item ? `${item.op} ${item.rowId}` : item.op));
    ({ cursor } = page);
    if (!page.hasMore) return rows;
  }
}

async function statusOf(ruled: RuledGateway, query: string): Promise<string> {
  const response = await ruled.ask(ANN, `sync/default/${query}`);
  const body = await response.json();
  return `${response.status} ${body.error?.code ?? ""}`.trim();
}

test("a pull from a source gives the records that the rules let through, at any limit", async () => {
  await using ruled = await openRuled(OWN, { sources: [MIXED] });
  for (const limit of ["1", "2", "1000"]) {
    assertEquals(await readAll(ruled, ANN, limit), ["ENTER a", "ENTER d", "ENTER e"]);
  }
  assertEquals(await readAll(ruled, { sub: "eve" }, "10"), []);
});

test("without rules every record of a source comes, and tables leave out the others", async () => {
  await using ruled = await openRuled(undefined, { sources: [MIXED] });
  assertEquals((await readAll(ruled, ANN, "1000")).length, 5);
  const none = await ruled.pull(ANN, { source: "crm", tables: "members" });
  assertEquals([none.deltas, none.hasMore], [[], true]);
});

test("a source's deletion reaches only who may see the row by its id", async () => {
  const gone = sourceOf([[{ op: "delete", table: "tasks", rowId: "a", columns: new Map() }]]);
  await using owner = await openRuled(OWN, { sources: [gone] });
  assertEquals(await readAll(owner, ANN, "10"), []);
  const byId: Rules = {
    version: 1,
    buckets: [{
      name: "one",
      tables: ["tasks"],
      filters: [{ column: "id", op: "eq", value: "a" }],
    }],
  };
  await using named = await openRuled(byId, { sources: [gone] });
  assertEquals(await readAll(named, ANN, "10"), ["DELETE a"]);
});

test("joins hold for a source too", async () => {
  const joined: Rules = {
    version: 1,
    buckets: [{
      name: "projects",
      tables: ["tasks"],
      filters: [{
        column: "project",
        op: "in",
        table: "members",
        select: "project",
        where: [{ column: "user", op: "eq", value: "jwt:sub" }],
      }],
    }],
    write: [{ name: "all", tables: ["tasks", "members"], filters: [] }],
  };
  const source = sourceOf([[upsert("a", { project: "p" }), upsert("b", { project: "q" })]]);
  await using ruled = await openRuled(joined, { sources: [source] });
  assertEquals(await readAll(ruled, ANN, "10"), []);
  const member = task("INSERT", "m", { user: "ann", project: "p" }, {
    table: "members",
    by: "root",
  });
  await ruled.push({ sub: "root" }, [member]);
  assertEquals(await readAll(ruled, ANN, "10"), ["ENTER a"]);
});

test("a source's cursor is no other's: unknown sources 404, foreign cursors 410", async () => {
  await using ruled = await openRuled(OWN, { sources: [MIXED] });
  const { cursor } = await ruled.pull(ANN, { source: "crm", limit: "1" });
  assertEquals(await statusOf(ruled, "pull?clientId=ann&source=nope"), "404 NOT_FOUND");
  assertEquals(await statusOf(ruled, "checkpoint?clientId=ann&source=crm"), "404 NOT_FOUND");
  const from = (cursor: string) => statusOf(ruled, `pull?clientId=ann&source=crm&cursor=${cursor}`);
  assertEquals(await from(cursor), "200");
  assertEquals(await from("x"), "410 CHECKPOINT_REQUIRED");
  assertEquals(await from(`${cursor.slice(0, -1)}x`), "410 CHECKPOINT_REQUIRED");
  assertEquals(
    await statusOf(ruled, `pull?clientId=ann&cursor=${cursor}`),
    "410 CHECKPOINT_REQUIRED",
  );
  assertEquals(await statusOf(ruled, "pull?clientId=bob&source=crm"), "403 FORBIDDEN");
});

test("a record that does not fit its table is the operator's business: 500 without its values", async () => {
  const source = sourceOf([[upsert("a", { rank: "secret" })]]);
  await using ruled = await openRuled(undefined, { sources: [source] });
  const response = await ruled.ask(ANN, "sync/default/pull?clientId=ann&source=crm");
  assertEquals(response.status, 500);
  assertEquals((await response.text()).includes("secret"), false);
});

test("a failure of a source is the operator's business, whatever its code is", async () => {
  for (const code of ["UNAUTHENTICATED", "FORBIDDEN", "CHECKPOINT_REQUIRED", "OFFLINE"] as const) {
    for (const thrown of [false, true]) {
      const source: Source = {
        name: "crm",
        async *read(): AsyncGenerator<Result<SourceBatch>> {
          await Promise.resolve();
          const failure = new LakeSyncError(code, "The key of crm.internal has expired");
          if (thrown) throw failure;
          yield err(failure);
        },
      };
      await using ruled = await openRuled(OWN, { sources: [source] });
      const response = await ruled.ask(ANN, "sync/default/pull?clientId=ann&source=crm");
      assertEquals(response.status, 500, code);
      assertEquals((await response.text()).includes("crm.internal"), false);
    }
  }
});

test("a page from a source has no more bytes than any page, but for its last record", async () => {
  const title = "€".repeat(500);
  const many = Array.from({ length: 50 }, (_, i) => upsert(`r${i}`, { owner: "ann", title }));
  await using ruled = await openRuled(OWN, {
    sources: [sourceOf([many])],
    limits: { pageBytes: 5_000 },
  });
  const page = await ruled.pull(ANN, { source: "crm" });
  assertEquals([page.deltas.length, page.hasMore], [3, true]);
  assertEquals((await readAll(ruled, ANN, "1000")).length, 50);
});

test("what a source gives is not given on by rules that were replaced meanwhile", async () => {
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const source: Source = {
    name: "crm",
    async *read(): AsyncGenerator<Result<SourceBatch>> {
      begun.resolve();
      await gate.promise;
      yield ok({ changes: [upsert("a", { owner: "ann" })], cursor: "1" });
    },
  };
  await using ruled = await openRuled(OWN, { sources: [source] });
  const page = statusOf(ruled, "pull?clientId=ann&source=crm");
  await begun.promise;
  const nothing: Rules = { version: 2, buckets: [] };
  unwrapOrThrow(await ruled.gateway.putRules(nothing));
  gate.resolve();
  assertEquals(await page, "410 CHECKPOINT_REQUIRED");
});

test("a source that is being read when the gateway closes is left with SHUTTING_DOWN", async () => {
  const begun = Promise.withResolvers<void>();
  const source: Source = {
    name: "crm",
    async *read({ signal }): AsyncGenerator<Result<SourceBatch>> {
      begun.resolve();
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      yield err(new LakeSyncError("ABORTED", "stopped"));
    },
  };
  await using ruled = await openRuled(OWN, { sources: [source] });
  const page = statusOf(ruled, "pull?clientId=ann&source=crm");
  await begun.promise;
  ruled.gateway.endStreams();
  assertEquals(await page, "503 SHUTTING_DOWN");
});
