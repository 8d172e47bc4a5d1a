import { fileObjectStore } from "@lakesync/adapter-file";
import {
  compactTable,
  type CompactTableOptions,
  filesCatalogue,
  icebergDestination,
  icebergLake,
} from "@lakesync/adapter-iceberg";
import {
  type Analyst,
  fileLocation,
  openAnalyst,
  type PendingDeltas,
  type QueryRow,
} from "@lakesync/analyst";
import {
  type Delta,
  type FlushEntry,
  type JsonValue,
  type LakeFile,
  type ObjectStore,
  ok,
  type TableSchema,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { makeDelta, Prng, test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { lakeStates } from "./lake_states.ts";

const table = "things";
const COLUMNS = [
  { name: "title", type: "string", nullable: true },
  { name: "n", type: "integer", nullable: true },
  { name: "_stamps", type: "json", nullable: true },
] as const;
const SCHEMA: TableSchema = { table, version: 1, columns: COLUMNS };
const GROWN: TableSchema = {
  table,
  version: 2,
  columns: [...COLUMNS, { name: "late", type: "number", nullable: true }],
};

/** Random changes of few rows with few stamps, so that many tie, come late or hit deleted rows. */
class History {
  readonly #prng: Prng;
  readonly #rows: number;
  #seq = 0;

  constructor(seed: number, rows: number) {
    this.#prng = new Prng(seed);
    this.#rows = rows;
  }

  next({ columns }: TableSchema): FlushEntry {
    const prng = this.#prng;
    const op = prng.pick(["INSERT", "UPDATE", "UPDATE", "DELETE"] as const);
    const values: { [type: string]: readonly JsonValue[] } = {
      string: ["a", "b", null],
      integer: [1, "9007199254740993", null],
      json: [{ a: 1 }, [], null],
      number: [0.5, -1, null],
    };
    const delta: Delta = makeDelta({
      op,
      table,
      rowId: `r${prng.int(0, this.#rows)}`,
      clientId: prng.pick(["a", "b", "c"]),
      hlc: String(prng.int(1, 60)),
      columns: op === "DELETE" ? [] : columns.filter(() => prng.chance(0.5)).map((column) => ({
        column: column.name,
        value: prng.pick(values[column.type]!),
      })),
    });
    this.#seq++;
    return { seq: this.#seq, at: 1_760_000_000_000 + this.#seq, delta };
  }
}

async function rowsOf(analyst: Analyst, sql: string): Promise<readonly QueryRow[]> {
  return unwrapOrThrow(await analyst.query(sql)).rows;
}

/** A lake with a history that goes on, and analysts of it who also see what is not flushed. */
class World {
  readonly #store: ObjectStore;
  readonly #history: History;
  #mark: Watermark | undefined;
  #fresh: readonly FlushEntry[] = [];
  /** The epoch of the log that what is pending is in. */
  epoch = "e";
  schema: TableSchema = SCHEMA;
  /** The files that the analyst of the state table has opened. */
  readonly opened: string[] = [];

  constructor(directory: string, seed: number, rows = 30) {
    this.#store = fileObjectStore({ directory });
    this.#history = new History(seed, rows);
  }

  async analyst({ ofState }: { ofState: boolean }): Promise<Analyst> {
    const { opened } = this;
    const fresh = () =>
      this.epoch === "e" ? this.#fresh : this.#fresh.map((entry, i) => ({ ...entry, seq: 1 + i }));
    const epoch = () => this.epoch;
    const pending: PendingDeltas = {
      get epoch() {
        return epoch();
      },
      schemas: () => Promise.resolve(ok([this.schema])),
      read: () => chunks(fresh()),
    };
    const locate = (file: LakeFile) => {
      opened.push(file.url);
      return fileLocation(file);
    };
    const findState = lakeStates(filesCatalogue(this.#store));
    const lake = icebergLake({ store: this.#store });
    return unwrapOrThrow(
      await openAnalyst({ lake, pending, threads: 1, ...(ofState && { findState, locate }) }),
    );
  }

  /** Flushes what was not, then some changes, and leaves some others pending. */
  async goOn(count: number): Promise<void> {
    const some = (count: number) =>
      Array.from({ length: count }, () => this.#history.next(this.schema));
    const entries = [...this.#fresh, ...some(count)];
    const to = { epoch: "e", seq: entries.at(-1)!.seq };
    const outcomes = unwrapOrThrow(
      await icebergDestination({ store: this.#store }).write({
        id: `batch-${to.seq}`,
        to,
        tables: new Map([[table, { schema: this.schema, from: this.#mark }]]),
        entries: flushed(entries),
      }),
    );
    assertEquals(outcomes.get(table)?.status, "committed");
    this.#mark = to;
    this.#fresh = some(5);
  }

  async compact(options: Pick<CompactTableOptions, "deletes" | "buckets"> = {}): Promise<void> {
    const outcome = unwrapOrThrow(await compactTable({ store: this.#store, table, ...options }));
    assertEquals(outcome.status, "compacted");
  }

  /** How many rows are said to be gone from files that stay. */
  async gone(): Promise<number> {
    const { metadata } = unwrapOrThrow(await filesCatalogue(this.#store).load(table))!;
    const live = metadata["current-snapshot-id"];
    const { summary } = metadata.snapshots.find((one) => one["snapshot-id"] === live)!;
    return Number(summary["total-position-deletes"]) + Number(summary["total-equality-deletes"]);
  }
}

async function* chunks(entries: readonly FlushEntry[]) {
  yield await Promise.resolve(ok(entries));
}

async function* flushed(entries: readonly FlushEntry[]) {
  yield await Promise.resolve(entries);
}

test("rows are the same from a state table and newer changes as from all changes, with ties, late changes and growth", async () => {
  for (let seed = 1; seed <= 3; seed++) {
    await withTempDir(async (directory) => {
      const world = new World(directory, seed);
      const ofAll = await world.analyst({ ofState: false });
      const ofState = await world.analyst({ ofState: true });
      for (let round = 0; round < 5; round++) {
        if (round === 3) world.schema = GROWN;
        await world.goOn(round === 0 ? 200 : 20);
        world.opened.length = 0;
        // Now and then what is pending is in a new log, whose seqs begin anew.
        world.epoch = round % 2 === 1 ? "rebuilt" : "e";
        for (const where of ["", "WHERE id = 'r7'", "WHERE n IS NULL AND title = 'a'"]) {
          const sql = `SELECT * FROM ${table} ${where} ORDER BY id`;
          assertEquals(await rowsOf(ofState, sql), await rowsOf(ofAll, sql), `${seed} ${sql}`);
        }
        const stateFiles = world.opened.filter((url) => url.includes(`/${table}/`));
        assertEquals(stateFiles.length > 0, round > 0, "the state is read once it is there");
        // At another moment there is only the changelog to ask.
        const then = `SELECT * FROM ${table}_at(30) ORDER BY id`;
        assertEquals(await rowsOf(ofState, then), await rowsOf(ofAll, then));
        if (round === 0 || round === 3) await world.compact();
      }
      await ofAll.close();
      await ofState.close();
    });
  }
});

for (const deletes of ["positions", "vectors", "equality"] as const) {
  test(`rows are the same from a state table whose files stay, with deletes: ${deletes}`, async () => {
    await withTempDir(async (directory) => {
      const world = new World(directory, 7, 1000);
      const ofAll = await world.analyst({ ofState: false });
      const ofState = await world.analyst({ ofState: true });
      await world.goOn(3000);
      await world.compact({ deletes, buckets: 2 });
      const gone: number[] = [];
      for (let round = 0; round < 4; round++) {
        await world.goOn(10);
        await world.compact({ deletes });
        await world.goOn(3);
        gone.push(await world.gone());
        world.opened.length = 0;
        for (const where of ["", "WHERE id = 'r7'", "WHERE n IS NULL AND title = 'a'"]) {
          const sql = `SELECT * FROM ${table} ${where} ORDER BY id`;
          assertEquals(await rowsOf(ofState, sql), await rowsOf(ofAll, sql), sql);
        }
        assert(world.opened.some((url) => url.includes(`/${table}/`)), "the state is read");
      }
      assert(gone.at(-1)! > 3, `${gone}`);
      await ofAll.close();
      await ofState.close();
    });
  });
}
