import { spawnSync } from "node:child_process";
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import {
  type CatalogueFault,
  type CatalogueRequest,
  faultyCatalogue,
  findCatalogue,
  Prng,
  startIcebergRest,
  test,
} from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { icebergDestination } from "./destination.ts";
import { icebergLake } from "./lake.ts";
import { parseJson64 } from "./json64.ts";
import { allKeys, entries, flush, readRows, readSeqs, TODOS } from "./testdata/lake_rows.ts";
import { catalogueAt, metadataOf, noWaiting, settle } from "./testdata/rest_lake.ts";

const skip = findCatalogue("iceberg-rest");
const server = skip === undefined ? await startIcebergRest() : undefined;
const TABLE = "todos_changes";
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);
let namespaces = 0;
const newNamespace = () => `ns${process.pid}_${++namespaces}`;

/** A lake with seqs 1 to 3 in the real catalogue, reached through a proxy on which things go wrong. */
async function lakeBehind(
  fault: (request: CatalogueRequest) => CatalogueFault | undefined,
  delays?: number[],
) {
  const namespace = newNamespace();
  const direct = catalogueAt(server!.url, namespace);
  await settle(direct, { last: 3 });
  const proxy = await faultyCatalogue(server!.url, fault);
  const catalogue = catalogueAt(proxy.url, namespace, {
    scheduler: noWaiting(delays),
    random: new Prng(7),
  });
  return { direct, proxy, catalogue };
}

test(
  { name: "a lake in Apache's REST catalogue is made, grown, listed and read", skip },
  async () => {
    const catalogue = catalogueAt(server!.url, newNamespace());
    assertEquals(unwrapOrThrow(await catalogue.list()), []);
    const destination = icebergDestination({ catalogue });
    assertEquals(unwrapOrThrow(await destination.watermarks(["todos"])), new Map());
    await flush(destination, entries(1, 3));
    const grown = {
      ...TODOS,
      version: 2,
      columns: [...TODOS.columns, { name: "late", type: "string", nullable: true } as const],
    };
    const from = { epoch: "e", seq: 3 };
    const outcomes = await flush(destination, entries(4, 6), { schemas: [grown], from });
    assertEquals(outcomes.get("todos")?.status, "committed");
    assertEquals(unwrapOrThrow(await catalogue.list()), [TABLE]);
    assertEquals(await readSeqs(catalogue, TABLE), upTo(6));
    const scan = unwrapOrThrow(await icebergLake({ catalogue }).scan(TABLE));
    assertEquals(scan.watermark, { epoch: "e", seq: 6 });
    assertEquals(scan.columns.at(-1), { fieldId: 12, name: "late", type: "string" });
    assertEquals(scan.types.get("late"), "string");
    const { snapshots } = await metadataOf(catalogue, TABLE);
    assertEquals(snapshots.length, 2);
    assertEquals(snapshots[1]!["snapshot-id"], scan.snapshotId);
    assertEquals(snapshots[1]!["parent-snapshot-id"], snapshots[0]!["snapshot-id"]);
  },
);

test({ name: "a commit's 63-bit ids reach Apache's REST catalogue exactly", skip }, async () => {
  const namespace = newNamespace();
  const sent: bigint[] = [];
  await using proxy = await faultyCatalogue(server!.url, ({ commit, body }) => {
    if (commit > 0) sent.push(BigInt(/"snapshot":\{"snapshot-id":(\d+)/.exec(body)![1]!));
    return undefined;
  });
  await settle(catalogueAt(proxy.url, namespace), { last: 12, batch: 1 });
  const metadata = await metadataOf(catalogueAt(server!.url, namespace), TABLE);
  assertEquals(metadata.snapshots.map((one) => one["snapshot-id"]), sent);
  assert(sent.some((id) => id > BigInt(Number.MAX_SAFE_INTEGER)));
});

test({ name: "snapshots beyond those remembered are removed in the catalogue", skip }, async () => {
  const catalogue = catalogueAt(server!.url, newNamespace());
  await settle(catalogue, { last: 23, batch: 1, tries: 30 });
  assertEquals((await metadataOf(catalogue, TABLE)).snapshots.length, 20);
  assertEquals(await readSeqs(catalogue, TABLE), upTo(23));
});

const FAULTS: { readonly [name: string]: CatalogueFault } = {
  "409 before": { refuse: 409 },
  "429 before": { refuse: 429 },
  "500 before": { refuse: 500 },
  "503 before": { refuse: 503 },
  "409 after": { doThen: 409 },
  "500 after": { doThen: 500 },
  "502 after": { doThen: 502 },
  "504 after": { doThen: 504 },
  "a cut answer": "cut-answer",
};

for (const [name, fault] of Object.entries(FAULTS)) {
  test({ name: `a commit that meets ${name} loses and doubles nothing`, skip }, async () => {
    for (const times of [1, 2, 5]) {
      const { direct, proxy, catalogue } = await lakeBehind(({ commit }) =>
        commit >= 1 && commit <= times ? fault : undefined
      );
      await using _ = proxy;
      await settle(catalogue, { last: 6 });
      assertEquals(await readSeqs(direct, TABLE), upTo(6));
      assertEquals((await metadataOf(direct, TABLE)).snapshots.length, 2, name);
    }
  });
}

test({
  name: "a commit that was carried out although it was answered 500 is found by its id",
  skip,
}, async () => {
  let commits = 0;
  const { direct, proxy, catalogue } = await lakeBehind(({ commit }) => {
    commits = Math.max(commits, commit);
    return commit === 1 ? { doThen: 500 } : undefined;
  });
  await using _ = proxy;
  const from = { epoch: "e", seq: 3 };
  const outcome = await flush(icebergDestination({ catalogue }), entries(4, 6), { from });
  assertEquals(outcome.get("todos")?.status, "committed");
  assertEquals(commits, 1);
  assertEquals(await readSeqs(direct, TABLE), upTo(6));
});

test({
  name: "a commit that is not answered in time is sent again, and its first copy does no harm",
  skip,
}, async () => {
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const namespace = newNamespace();
  const direct = catalogueAt(server!.url, namespace);
  await settle(direct, { last: 3 });
  await using proxy = await faultyCatalogue(server!.url, ({ commit }) => {
    if (commit !== 1) return undefined;
    arrived.resolve();
    return { after: held.promise };
  });
  let requests = 0;
  const impatient = catalogueAt(proxy.url, namespace, {
    scheduler: {
      // Only the first commit's time runs out: configuration and table are asked for before it.
      delay(_ms, { signal } = {}) {
        if (signal === undefined) return Promise.resolve();
        return ++requests === 3 ? arrived.promise : new Promise(() => {});
      },
    },
  });
  const from = { epoch: "e", seq: 3 };
  const outcome = await flush(icebergDestination({ catalogue: impatient }), entries(4, 6), {
    from,
  });
  assertEquals(outcome.get("todos")?.status, "committed");
  held.resolve();
  await settle(direct, { last: 9 });
  assertEquals(await readSeqs(direct, TABLE), upTo(9));
  assertEquals((await metadataOf(direct, TABLE)).snapshots.length, 3);
  assertEquals(requests, 5);
});

test(
  { name: "a commit of which it stays open what became of it removes no file", skip },
  async () => {
    let dead = false;
    const { direct, proxy, catalogue } = await lakeBehind(({ commit }) => {
      if (commit === 0) return dead ? { refuse: 503 } : undefined;
      dead = true;
      return { doThen: 500 };
    });
    await using _ = proxy;
    const from = { epoch: "e", seq: 3 };
    const outcome = (await flush(icebergDestination({ catalogue }), entries(4, 6), { from }))
      .get("todos");
    assert(outcome?.status === "failed" && outcome.error.message.includes("500"), String(outcome));
    // It had been carried out: everything that it names is there.
    assertEquals(await readSeqs(direct, TABLE), upTo(6));
  },
);

test({ name: "a commit that is refused for good leaves no file behind", skip }, async () => {
  const { direct, proxy, catalogue } = await lakeBehind(({ commit }) =>
    commit > 0 ? { refuse: 403 } : undefined
  );
  await using _ = proxy;
  const before = await allKeys(direct.store, `${TABLE}/`);
  const from = { epoch: "e", seq: 3 };
  const outcome = (await flush(icebergDestination({ catalogue }), entries(4, 6), { from }))
    .get("todos");
  assert(outcome?.status === "failed");
  assert(outcome.error.message.includes("403 ScriptedFailure: scripted, check"));
  assertEquals(await allKeys(direct.store, `${TABLE}/`), before);
});

test(
  { name: "of two flushers of one batch one commits, the other sees that it moved", skip },
  async () => {
    const { direct, proxy, catalogue } = await lakeBehind(() => undefined);
    await using _ = proxy;
    const from = { epoch: "e", seq: 3 };
    const outcomes = await Promise.all(
      [direct, catalogue].map((one) =>
        flush(icebergDestination({ catalogue: one }), entries(4, 6), { from })
      ),
    );
    const statuses = outcomes.map((outcome) => outcome.get("todos")?.status).sort();
    assertEquals(statuses, ["committed", "moved"]);
    assertEquals(await readSeqs(direct, TABLE), upTo(6));
    for (const row of await readRows(direct, TABLE)) assert(row.get("title") !== null);
  },
);

test({ name: "two flushers at work on one table all the time double nothing", skip }, async () => {
  const namespace = newNamespace();
  const one = catalogueAt(server!.url, namespace);
  const other = catalogueAt(server!.url, namespace);
  await Promise.all([
    settle(one, { last: 20, batch: 2, tries: 60 }),
    settle(other, { last: 20, batch: 3, tries: 60 }),
  ]);
  assertEquals(await readSeqs(one, TABLE), upTo(20));
});

test({
  name: "a lost commit is tried again on what others committed, with its manifest as it is",
  skip,
}, async () => {
  const bodies: string[] = [];
  const delays: number[] = [];
  let foreign: Promise<void> | undefined;
  const { direct, proxy, catalogue } = await lakeBehind(({ commit, body }) => {
    if (commit === 0) return undefined;
    bodies.push(body);
    return commit === 1 ? { after: foreign ??= setProperty(direct) } : undefined;
  }, delays);
  await using _ = proxy;
  const from = { epoch: "e", seq: 3 };
  const before = await allKeys(direct.store, `${TABLE}/metadata/`);
  const outcome = await flush(icebergDestination({ catalogue }), entries(4, 6), { from });
  assertEquals(outcome.get("todos")?.status, "committed");
  assertEquals(bodies.length, 2);
  assertEquals(delays.length, 1);
  const id = (body: string) => /"snapshot-id":(\d+),"parent/.exec(body)?.[1];
  assertEquals(id(bodies[0]!), id(bodies[1]!));
  const made = (await allKeys(direct.store, `${TABLE}/metadata/`))
    .filter((key) => !before.includes(key) && key.endsWith(".avro"));
  // One manifest and one list for the flush, and one list for what others committed.
  assertEquals(made.filter((key) => /-m\d+\.avro$/.test(key)).length, 1);
  assertEquals(made.length, 3);
  assertEquals(await readSeqs(direct, TABLE), upTo(6));

  /** Commits as another engine would: a snapshot without a watermark that keeps the data. */
  async function setProperty(catalogue: typeof direct): Promise<void> {
    const base = unwrapOrThrow(await catalogue.load(TABLE))!;
    const { metadata } = base;
    const current = metadata.snapshots.at(-1)!;
    const list = unwrapOrThrow(
      await catalogue.store.get(current["manifest-list"].replace(metadata.location, TABLE)),
    );
    unwrapOrThrow(await catalogue.store.put(`${TABLE}/metadata/snap-other.avro`, list));
    const foreign = {
      ...current,
      "snapshot-id": 77n,
      "parent-snapshot-id": current["snapshot-id"],
      "sequence-number": metadata["last-sequence-number"] + 1n,
      "manifest-list": `${metadata.location}/metadata/snap-other.avro`,
      summary: { operation: "replace" },
    };
    const outcome = await catalogue.commit(TABLE, base, {
      ...metadata,
      "current-snapshot-id": 77n,
      refs: { main: { "snapshot-id": 77n, type: "branch" } },
      snapshots: [...metadata.snapshots, foreign],
    });
    assertEquals(outcome.status, "committed");
  }
});

test(
  { name: "a table that its first flusher could not fill is filled by the next one", skip },
  async () => {
    const namespace = newNamespace();
    await using proxy = await faultyCatalogue(
      server!.url,
      ({ commit }) => commit > 0 ? { refuse: 400 } : undefined,
    );
    const outcome = await flush(
      icebergDestination({ catalogue: catalogueAt(proxy.url, namespace) }),
      entries(1, 3),
    );
    assertEquals(outcome.get("todos")?.status, "failed");
    const direct = catalogueAt(server!.url, namespace);
    assertEquals(await readSeqs(direct, TABLE), []);
    await settle(direct, { last: 3 });
    assertEquals(await readSeqs(direct, TABLE), upTo(3));
  },
);

test({ name: "of two that make one table at once both end with the same", skip }, async () => {
  const namespace = newNamespace();
  const catalogues = [1, 2].map(() => catalogueAt(server!.url, namespace));
  await Promise.all(catalogues.map((catalogue) => settle(catalogue, { last: 4 })));
  assertEquals(await readSeqs(catalogues[0]!, TABLE), upTo(4));
});

const PYTHON = process.env.LAKESYNC_PYTHON ?? "python3";
const python = skip ??
  (spawnSync(PYTHON, ["-c", "import pyiceberg, pyarrow"]).status === 0
    ? undefined
    : `needs ${PYTHON} with pyiceberg and pyarrow (set LAKESYNC_PYTHON to another one)`);

test({ name: "PyIceberg reads a lake through Apache's REST catalogue", skip: python }, async () => {
  const namespace = newNamespace();
  await settle(catalogueAt(server!.url, namespace), { last: 9, batch: 3 });
  const script = `
import json, sys
from pyiceberg.catalog.rest import RestCatalog
table = RestCatalog("lake", uri=sys.argv[1]).load_table((sys.argv[2], "${TABLE}"))
rows = table.scan().to_arrow().to_pylist()
print(json.dumps([sorted([row["_seq"], row["title"]] for row in rows), table.current_snapshot().snapshot_id]))
`;
  const run = spawnSync(PYTHON, ["-c", script, server!.url, namespace], { encoding: "utf8" });
  assertEquals(run.status, 0, run.stderr);
  const [rows, id] = parseJson64(run.stdout) as readonly [unknown, bigint];
  assertEquals(rows, entries(1, 9).map(({ seq }) => [seq, `title ${seq}`]));
  const metadata = await metadataOf(catalogueAt(server!.url, namespace), TABLE);
  assertEquals(BigInt(id), metadata["current-snapshot-id"]);
});
