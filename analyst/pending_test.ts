import {
  err,
  type FlushEntry,
  LakeSyncError,
  type LogEntry,
  type LogStore,
  ok,
  type ReadLogOptions,
  type Watermark,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { pendingFromLog } from "./mod.ts";

const TABLES = ["a", "b", "c"];

function logEntry(seq: number): LogEntry {
  const table = TABLES[seq % 3]!;
  const delta = {
    op: "DELETE",
    table,
    rowId: `r${seq}`,
    clientId: "c",
    columns: [],
    hlc: String(seq),
    deltaId: "",
  };
  return {
    seq,
    hash: "",
    at: seq * 10,
    txLast: seq,
    clientId: "c",
    table,
    rowId: delta.rowId,
    json: JSON.stringify(delta),
    effect: {
      before: "none",
      after: "dead",
      last: true,
      life: true,
      columns: [],
      state: undefined,
      judged: undefined,
    },
  };
}

/** A log of so many entries that gives two at a time, grows while it is read and is trimmed. */
function fakeLog(options: { length: number; trimmed?: number }): LogStore {
  const { trimmed = 0 } = options;
  let { length } = options;
  const store: Pick<LogStore, "epoch" | "head" | "read"> = {
    epoch: "e",
    head: () => Promise.resolve(ok({ seq: length, hash: "" })),
    read: (after: number, { through = Infinity }: ReadLogOptions) => {
      if (after < trimmed) {
        return Promise.resolve(err(new LakeSyncError("CHECKPOINT_REQUIRED", "trimmed")));
      }
      length++;
      const end = Math.min(after + 2, through, length);
      const entries: LogEntry[] = [];
      for (let seq = after + 1; seq <= end; seq++) entries.push(logEntry(seq));
      return Promise.resolve(ok(entries));
    },
  };
  return store as LogStore;
}

const schemas = () => Promise.resolve(ok([]));

test("pendingFromLog() gives each table's entries above its seq, up to the head it began with", async () => {
  const pending = pendingFromLog(fakeLog({ length: 11 }), { schemas });
  const entries: FlushEntry[] = [];
  for await (const chunk of pending.read(new Map([["a", 5], ["b", 2]]))) {
    if (!chunk.ok) throw chunk.error;
    entries.push(...chunk.value);
  }
  assertEquals(entries.map(({ seq }) => seq), [4, 6, 7, 9, 10]);
  assertEquals(entries[0]?.at, 40);
  assertEquals(entries[0]?.delta.table, "b");
  assertEquals(pending.epoch, "e");
});

test("pendingFromLog() reads nothing where all is flushed", async () => {
  const pending = pendingFromLog(fakeLog({ length: 3, trimmed: 3 }), { schemas });
  for await (const chunk of pending.read(new Map([["a", 3]]))) assertEquals(chunk, ok([]));
  for await (const chunk of pending.read(new Map())) assertEquals(chunk, ok([]));
});

test("pendingFromLog() ends with CHECKPOINT_REQUIRED where the log is trimmed, ABORTED by its signal", async () => {
  const pending = pendingFromLog(fakeLog({ length: 5, trimmed: 2 }), { schemas });
  const codes: string[] = [];
  for await (const chunk of pending.read(new Map([["a", 1]]))) {
    codes.push(chunk.ok ? "ok" : chunk.error.code);
  }
  const controller = new AbortController();
  for await (const chunk of pending.read(new Map([["a", 2]]), { signal: controller.signal })) {
    codes.push(chunk.ok ? "ok" : chunk.error.code);
    controller.abort();
  }
  assertEquals(codes, ["CHECKPOINT_REQUIRED", "ok", "ABORTED"]);
});

test("pendingFromLog() goes on behind the last flush for tables that are as it left them", async () => {
  const read = async (
    after: ReadonlyMap<string, number>,
    marks: ReadonlyMap<string, Watermark>,
  ): Promise<(number | string)[]> => {
    const pending = pendingFromLog(fakeLog({ length: 11, trimmed: 5 }), {
      schemas,
      flushed: () => Promise.resolve(ok({ seq: 6, marks })),
    });
    const found: (number | string)[] = [];
    for await (const chunk of pending.read(after)) {
      if (chunk.ok) found.push(...chunk.value.map(({ seq }) => seq));
      else found.push(chunk.error.code);
    }
    return found;
  };
  const marks = new Map([["a", { epoch: "e", seq: 3 }], ["b", { epoch: "e", seq: 4 }]]);
  // "a" had no news since 3, "c" has no table: what is trimmed is nothing of theirs.
  assertEquals(await read(new Map([["a", 3], ["c", 0]]), marks), [8, 9, 11]);
  // "b" was rolled back.
  assertEquals(await read(new Map([["a", 3], ["b", 1]]), marks), ["CHECKPOINT_REQUIRED"]);
  // "b" has come further since.
  assertEquals(await read(new Map([["b", 7]]), marks), [10]);
  // A mark of another epoch is none.
  const other = new Map([["c", { epoch: "other", seq: 9 }]]);
  assertEquals(await read(new Map([["c", 0]]), other), [8, 11]);
});

test("pendingFromLog() ends with the failure to learn how far the lake is", async () => {
  const closed = () => Promise.resolve(err(new LakeSyncError("CLOSED", "closed")));
  const pending = pendingFromLog(fakeLog({ length: 3 }), { schemas, flushed: closed });
  const codes: string[] = [];
  for await (const chunk of pending.read(new Map([["a", 0]]))) {
    codes.push(chunk.ok ? "ok" : chunk.error.code);
  }
  assertEquals(codes, ["CLOSED"]);
});
