import { sqlAdapter } from "@lakesync/adapter-database";
import { postgresServer } from "@lakesync/adapter-postgres";
import { databaseSource } from "@lakesync/adapter-sources";
import { ok, type Source, unwrapOrThrow } from "@lakesync/core";
import { assert, assertEquals } from "@std/assert";
import { batchOf, deltaOf, type DeltaParts, TODOS } from "../database/fixture.ts";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { test } from "../test.ts";

const { bin, skip } = await findPostgres();

/** What a reading gives from a cursor on, a text a change, and the cursor behind it. */
async function read(
  source: Source,
  cursor?: string,
): Promise<{ changes: string[]; cursor: string | undefined }> {
  const changes: string[] = [];
  for await (const batch of source.read({ cursor })) {
    const { changes: given, cursor: next } = unwrapOrThrow(batch);
    for (const { op, rowId, columns } of given) {
      changes.push(`${op} ${rowId} ${JSON.stringify([...columns])}`);
    }
    cursor = next;
  }
  return { changes, cursor };
}

test({
  name:
    "databaseSource() gives the rows that deltas touched as they are, late ones and deletions too",
  skip,
}, async () => {
  await using pg = await startPostgres({ bin: bin! });
  const open = async () => {
    const server = await postgresServer({ url: pg.url });
    return server.ok ? ok(sqlAdapter({ server: server.value, name: "pg" })) : server;
  };
  const adapter = unwrapOrThrow(await open());
  let from: number | undefined;
  const write = async (...parts: DeltaParts[]) => {
    const batch = batchOf({ deltas: parts.map(deltaOf), from });
    unwrapOrThrow(await adapter.insertDeltas(batch));
    from = batch.to.seq;
  };
  const source = databaseSource({ name: "pg", open, tables: [TODOS], batchSize: 2 });
  assertEquals(await read(source), { changes: [], cursor: undefined });
  await write(
    { op: "INSERT", rowId: "a", hlc: 10, columns: { title: "a", n: 1 } },
    { op: "INSERT", rowId: "b", hlc: 11, columns: { title: "b" } },
    { op: "INSERT", rowId: "c", hlc: 12, columns: { title: "c" } },
    { op: "DELETE", rowId: "c", hlc: 13 },
  );
  const first = await read(source);
  assertEquals(first.changes, [
    'upsert a [["title","a"],["n",1]]',
    'upsert b [["title","b"],["n",null]]',
    "delete c []",
  ]);
  assertEquals(await read(source, first.cursor), { changes: [], cursor: first.cursor });
  // A delta that lost, an UPDATE of a row that is none, and a row that begins anew.
  await write(
    { op: "UPDATE", rowId: "b", hlc: 5, columns: { title: "lost" } },
    { op: "UPDATE", rowId: "none", hlc: 20, columns: { n: 1 } },
    { op: "DELETE", rowId: "a", hlc: 21 },
    { op: "INSERT", rowId: "a", hlc: 22, columns: { title: "anew" } },
  );
  const second = await read(source, first.cursor);
  assertEquals(second.changes, [
    'upsert b [["title","b"],["n",null]]',
    "delete none []",
    'upsert a [["title","anew"],["n",null]]',
  ]);
  for await (const batch of source.read({ cursor: "strange" })) {
    assert(!batch.ok);
    assertEquals(batch.error.code, "VALIDATION_ERROR");
    assert(batch.error.message.startsWith('Cannot read source "pg": '));
  }
  await source.close();
  // A reading after that opens it again.
  assertEquals((await read(source, first.cursor)).changes, second.changes);
  await source.close();
  await adapter.close();
});
