// What tests of the flush share.
import { assertEquals } from "@std/assert";
import { type LogStore, ok, silentLogger, systemRandom, unwrapOrThrow } from "@lakesync/core";
import { insertTodo, makeDelta, ManualClock } from "@lakesync/testing";
import { Flusher } from "../flush.ts";
import { memoryLogStore } from "../store_memory.ts";
import type { FakeDestination } from "./fake_destination.ts";
import { openGateway, PROTO, push, TODOS } from "./fixture.ts";

function proto(rowId: string, hlc: number) {
  return makeDelta({
    op: "INSERT",
    table: "__proto__",
    rowId,
    clientId: "alice:phone",
    hlc: String(hlc),
    columns: [],
  });
}

/** Flushes a store to destinations, the first of them the primary. */
export function flusherOf(store: LogStore, ...destinations: FakeDestination[]): Flusher {
  return new Flusher({
    store,
    destinations,
    tables: () => Promise.resolve(ok([TODOS, PROTO])),
    random: systemRandom,
    scheduler: new ManualClock(),
    logger: silentLogger,
  });
}

/** What a flush comes to: how far it is, or its error's code. */
export async function codeOf(flusher: Flusher): Promise<string> {
  const flushed = await flusher.flush({ waitMs: 1 });
  return flushed.ok ? `flushed ${flushed.value.flushedSeq}` : flushed.error.code;
}

/** A store of entries `1 … todos + protos`, todos first. */
export async function storeOf(todos: number, protos = 0): Promise<LogStore> {
  const store = memoryLogStore();
  await grow(store, { todos, protos });
  return store;
}

let hlc = 0;

/** Adds so many entries, todos first. */
export async function grow(
  store: LogStore,
  counts: { todos?: number; protos?: number },
): Promise<void> {
  const gateway = await openGateway({ store });
  const { todos = 0, protos = 0 } = counts;
  await push(gateway, [
    ...Array.from({ length: todos }, () => insertTodo(`r${++hlc}`, hlc)),
    ...Array.from({ length: protos }, () => proto(`p${++hlc}`, hlc)),
  ]);
}

/** The seqs that each table must have: those of its entries in the log. */
async function expected(store: LogStore, table: string): Promise<number[]> {
  const entries = unwrapOrThrow(await store.read(0, { limit: 100_000 }));
  return entries.filter((entry) => entry.table === table).map(({ seq }) => seq);
}

/** Holds a destination to the log: each entry once, in order. */
export async function assertExact(store: LogStore, lake: FakeDestination): Promise<void> {
  for (const table of ["todos", "__proto__"]) {
    assertEquals(lake.seqs(table), await expected(store, table), table);
  }
}
