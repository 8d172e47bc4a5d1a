import fc from "fast-check";
import {
  defineTable,
  type Delta,
  deltaIdText,
  type Destination,
  err,
  type FlushBatch,
  type FlushOutcome,
  LakeSyncError,
  ok,
  type Result,
  type Source,
  type SourceBatch,
  type SourceChange,
  string,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { copySource } from "./copy_source.ts";

const todos = defineTable("todos", { title: string() });
const record = (n: number): SourceChange => ({
  op: "upsert",
  table: "todos",
  rowId: `r${n}`,
  columns: new Map([["title", `t${n}`]]),
});

/** Records 0, 1, 2 …, so many at once; its cursor is how many were read. */
class Numbers implements Source {
  readonly name = "numbers";
  readonly size: number;
  count: number;

  constructor(count: number, size: number) {
    this.count = count;
    this.size = size;
  }

  async *read(
    { cursor = "0" }: { cursor: string | undefined },
  ): AsyncGenerator<Result<SourceBatch>> {
    for (let at = Number(cursor); at < this.count; at += this.size) {
      const end = Math.min(this.count, at + this.size);
      const changes = Array.from({ length: end - at }, (_, i) => record(at + i));
      yield await Promise.resolve(ok({ changes, cursor: String(end) }));
    }
  }
}

/** What becomes of a commit. */
type Fate = "commits" | "fails" | "answer lost" | "late";

/** A destination whose commits have a fate each. A late one takes place with the next question, if it still fits. */
class Fated implements Destination {
  readonly name = "fated";
  readonly deltas: Delta[] = [];
  readonly fates: Fate[];
  #mark: Watermark | undefined;
  #late: (() => void) | undefined;

  constructor(fates: readonly Fate[]) {
    this.fates = [...fates];
  }

  /** Somebody else's commit. */
  overwrite(): void {
    this.#mark = { epoch: "another", seq: 1 };
  }

  watermarks(): Promise<Result<ReadonlyMap<string, Watermark>>> {
    return Promise.resolve(ok(new Map(this.#mark && [["todos", this.#mark]])));
  }

  async write(batch: FlushBatch): Promise<Result<ReadonlyMap<string, FlushOutcome>>> {
    const deltas: Delta[] = [];
    let last = 0;
    try {
      for await (const entries of batch.entries) {
        for (const { seq, delta } of entries) {
          assert(seq > last && seq <= batch.to.seq);
          last = seq;
          deltas.push(delta);
        }
      }
    } catch (thrown) {
      assert(thrown instanceof LakeSyncError);
      return err(thrown);
    }
    this.#late?.();
    this.#late = undefined;
    const { from } = batch.tables.get("todos")!;
    const fits = () => from?.epoch === this.#mark?.epoch && from?.seq === this.#mark?.seq;
    const answer = (outcome: FlushOutcome) => ok(new Map([["todos", outcome]]));
    if (!fits()) return answer({ status: "moved", watermark: this.#mark });
    if (deltas.length === 0) return answer({ status: "empty" });
    const commit = () => {
      if (!fits()) return;
      this.deltas.push(...deltas);
      this.#mark = batch.to;
    };
    const fate = this.fates.shift() ?? "commits";
    if (fate === "commits" || fate === "answer lost") commit();
    if (fate === "late") this.#late = commit;
    if (fate === "commits") {
      return answer({ status: "committed", deltas: deltas.length, objects: 1, bytes: 1 });
    }
    const error = new LakeSyncError("STORAGE_ERROR", `The commit ${fate}`);
    return fate === "fails" ? answer({ status: "failed", error }) : err(error);
  }
}

/** Values in memory. */
function valuesIn(kept: Map<string, string>) {
  return {
    getValue: (key: string) => Promise.resolve(ok(kept.get(key))),
    setValue(key: string, value: string | null): Promise<Result<void>> {
      if (value === null) kept.delete(key);
      else kept.set(key, value);
      return Promise.resolve(ok(undefined));
    },
  };
}

test("copySource() copies each record once, through commits that fail, come late or lose their answer", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom<Fate>("commits", "fails", "answer lost", "late"), { maxLength: 8 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 12 }),
      async (fates, count, size, commitRecords) => {
        const source = new Numbers(count, size);
        const to = new Fated(fates);
        const places = valuesIn(new Map());
        const options = { table: todos.schema, places, commitRecords };
        for (let tries = 0; tries < 30; tries++) {
          const copied = await copySource(source, to, options);
          // More comes in between: what is read again is not what was read before.
          if (tries < 3) source.count += 2;
          else if (copied.ok && to.fates.length === 0) break;
        }
        assertEquals(to.deltas.map(({ rowId }) => rowId), rowIds(source.count));
        const stamps = to.deltas.map(({ hlc }) => BigInt(hlc));
        assert(stamps.every((stamp, i) => i === 0 || stamp > stamps[i - 1]!));
      },
    ),
    { seed: 42 },
  );
});

function rowIds(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `r${i}`);
}

test("copySource() makes whole deltas: an INSERT for a record, a DELETE for one that is gone, with their ids", async () => {
  const to = new Fated([]);
  const source: Source = {
    name: "two",
    async *read() {
      const gone: SourceChange = { op: "delete", table: "todos", rowId: "a", columns: new Map() };
      yield await Promise.resolve(ok({ changes: [record(1), gone], cursor: "2" }));
    },
  };
  const clock = { now: () => 1_700_000_000_000 };
  const options = { table: todos.schema, places: valuesIn(new Map()), clock };
  assertEquals(unwrapOrThrow(await copySource(source, to, options)).records, 2);
  const [made, gone] = to.deltas;
  assertEquals([made!.op, made!.clientId, made!.rowId], ["INSERT", "@source:two", "r1"]);
  assertEquals(made!.columns, [{ column: "title", value: "t1" }]);
  assertEquals([gone!.op, gone!.columns], ["DELETE", []]);
  const { deltaId, ...content } = made!;
  const hash = createHash("sha256").update(deltaIdText(content)).digest("hex");
  assertEquals([deltaId, JSON.parse(JSON.stringify(made)).deltaId], [hash, hash]);
});

test("copySource() refuses what it cannot copy right", async () => {
  const fail = async (source: Source & { stateful?: boolean }, to: Destination = new Fated([])) => {
    const options = { table: todos.schema, places: valuesIn(new Map()) };
    const copied = await copySource(source, to, options);
    return copied.ok ? "copied" : `${copied.error.code} ${copied.error.message}`;
  };
  const one = (change: Partial<SourceChange>): Source => ({
    name: "one",
    async *read() {
      const changes = [{ ...record(1), ...change }];
      yield await Promise.resolve(ok({ changes, cursor: "1" }));
    },
  });
  assertStringIncludes(
    await fail(one({ columns: new Map([["title", 1]]) })),
    'SCHEMA_ERROR Cannot copy source "one": column "title" of record "r1" is not a well-formed string',
  );
  assertStringIncludes(
    await fail(one({ columns: new Map() })),
    'record "r1" has no column "title"',
  );
  assertStringIncludes(await fail(one({ table: "other" })), 'table "other" is not copied');
  const stateful = Object.assign(new Numbers(1, 1), { stateful: true });
  assertStringIncludes(await fail(stateful), "VALIDATION_ERROR");
  const offline: Source = {
    name: "offline",
    async *read() {
      yield await Promise.resolve(err(new LakeSyncError("OFFLINE", "away")));
    },
  };
  assertStringIncludes(await fail(offline), "OFFLINE away");
});

test("copySource() says CONFLICT where somebody else wrote to the table, before it or meanwhile", async () => {
  const options = { table: todos.schema, places: valuesIn(new Map()) };
  const source = new Numbers(3, 1);
  const to = new Fated([]);
  unwrapOrThrow(await copySource(source, to, options));
  source.count = 5;
  // One that keeps its place elsewhere knows nothing of what is there.
  const other = { ...options, places: valuesIn(new Map()) };
  const refused = await copySource(source, to, other);
  assertEquals(refused.ok || refused.error.code, "CONFLICT");
  to.overwrite();
  const copied = await copySource(source, to, options);
  assertEquals(copied.ok || copied.error.code, "CONFLICT");
  assertEquals(to.deltas.length, 3);
});

test("copySource() stops between commits, and goes on there", async () => {
  const source = new Numbers(10, 1);
  const to = new Fated([]);
  const stop = new AbortController();
  const options = { table: todos.schema, places: valuesIn(new Map()), commitRecords: 4 };
  const copied = await copySource(source, to, {
    ...options,
    signal: stop.signal,
    onCommit: ({ records }) => records === 4 && stop.abort(),
  });
  assertEquals(copied.ok || copied.error.code, "ABORTED");
  assertEquals(to.deltas.length, 4);
  assertEquals(unwrapOrThrow(await copySource(source, to, options)).records, 6);
  assertEquals(to.deltas.map(({ rowId }) => rowId), rowIds(10));
});
