import {
  compactTable,
  filesCatalogue,
  icebergDestination,
  icebergLake,
} from "@lakesync/adapter-iceberg";
import { openAnalyst } from "@lakesync/analyst";
import {
  type FlushEntry,
  type ObjectStore,
  packHlc,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { makeDelta, memoryObjectStore, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { lakeStates } from "./lake_states.ts";

const schema = { table: "todos", version: 1, columns: [{ name: "n", type: "integer" }] } as const;
const DAYS = 5;
const ROWS = 400;

/** Some rows of a day, those of each day with ids of their own. */
function day(place: number): FlushEntry[] {
  return Array.from({ length: ROWS }, (_, i) => {
    const at = Date.UTC(2026, 0, 1 + place, 12) + i;
    const delta = makeDelta({
      op: "INSERT",
      table: schema.table,
      // The ids differ behind the sixteen letters that bounds keep, too.
      rowId: `row-of-day-${place}-number-${String(i).padStart(4, "0")}`,
      clientId: "a",
      hlc: packHlc({ wallMs: at, counter: 0 }),
      columns: [{ column: "n", value: i }],
    });
    return { seq: 1 + place * ROWS + i, at, delta };
  });
}

async function* chunks(entries: readonly FlushEntry[]) {
  yield await Promise.resolve(entries);
}

/** A lake with a file a day, in a store that counts the bytes of data files that are read. */
async function makeLake(): Promise<{ store: ObjectStore; read: Map<string, number> }> {
  const memory = memoryObjectStore();
  let from: Watermark | undefined;
  for (let place = 0; place < DAYS; place++) {
    const entries = day(place);
    const to = { epoch: "e", seq: entries.at(-1)!.seq };
    unwrapOrThrow(
      await icebergDestination({ store: memory }).write({
        id: `b${place}`,
        to,
        tables: new Map([[schema.table, { schema, from }]]),
        entries: chunks(entries),
      }),
    );
    from = to;
  }
  const read = new Map<string, number>();
  const store: ObjectStore = {
    location: memory.location,
    put: (...args) => memory.put(...args),
    head: (...args) => memory.head(...args),
    list: (...args) => memory.list(...args),
    delete: (...args) => memory.delete(...args),
    async get(key, options) {
      const got = await memory.get(key, options);
      if (got.ok && key.endsWith(".parquet")) {
        read.set(key, (read.get(key) ?? 0) + got.value.length);
      }
      return got;
    },
  };
  return { store, read };
}

const DAY_2 = "SELECT count(*) AS n FROM todos_changes WHERE _commit_ts::DATE = '2026-01-03'";
const ROW = "SELECT n FROM todos WHERE id = 'row-of-day-2-number-0007'";

test("of a real lake a filter on day or row id reads the bytes of the one file that can match, before and after compaction", async () => {
  const { store, read } = await makeLake();
  const catalogue = filesCatalogue(store);
  const lake = icebergLake({ catalogue });
  const { files } = unwrapOrThrow(await lake.scan("todos_changes"));
  assertEquals(files.length, DAYS);
  const ask = async (sql: string) => {
    const findState = lakeStates(catalogue);
    const analyst = unwrapOrThrow(await openAnalyst({ lake, store, findState, threads: 1 }));
    read.clear();
    const { rows } = unwrapOrThrow(await analyst.query(sql));
    await analyst.close();
    return rows.map(({ n }) => n);
  };
  const ofDay2 = files.find(({ committed }) =>
    committed!.min <= Date.UTC(2026, 0, 3, 12) * 1000 &&
    committed!.max >= Date.UTC(2026, 0, 3, 12) * 1000
  )!;
  const only = [[ofDay2.key, ofDay2.bytes]];
  assertEquals(await ask(DAY_2), [ROWS]);
  assertEquals([...read], only);
  assertEquals(await ask(ROW), [7]);
  assertEquals([...read], only);

  unwrapOrThrow(await compactTable({ store, table: "todos" }));
  const state = unwrapOrThrow(await lake.scan("todos"));
  assertEquals(await ask("SELECT count(*) AS n FROM todos"), [DAYS * ROWS]);
  assertEquals(new Set(read.keys()), new Set(state.files.map(({ key }) => key)));
  assertEquals(await ask(ROW), [7]);
  // Only its bucket.
  assertEquals(
    [...read.values()],
    state.files.filter(({ key }) => read.has(key)).map((f) => f.bytes),
  );
  assertEquals(read.size, 1);
});
