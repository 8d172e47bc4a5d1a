import type { SqlResultRow, SqlServer, SqlStatement, SqlWork } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { readDeltaRange } from "./_read_deltas.ts";

/** A table of deltas at some places, as its statements see it; and how many places each was asked for. */
function tableOf(places: readonly number[]) {
  const asked: number[] = [];
  const dialect = { within: () => ({ text: "TRUE", parameters: [] }) };
  const run = ({ text, parameters }: SqlStatement): Promise<readonly SqlResultRow[]> => {
    const [from, to] = parameters as [number, number];
    asked.push(to - from);
    const limit = Number(/LIMIT (\d+)$/.exec(text)![1]);
    const found = places.filter((place) => place > from && place <= to).slice(0, limit);
    return Promise.resolve(found.map((place) => [String(place), "1", "1", "{}"]));
  };
  const work: SqlWork = { run };
  return { work, server: { dialect } as unknown as SqlServer, asked };
}

async function read(
  places: readonly number[],
  range: { after: number; through: number; limit: number },
): Promise<{ found: number[]; asked: number[] }> {
  const { work, server, asked } = tableOf(places);
  const rows = await readDeltaRange(work, { server, columns: "pos", tables: ["t"], ...range });
  return { found: rows.map(([place]) => Number(place)), asked };
}

test("a page of deltas without gaps is one question for as many places", async () => {
  const places = Array.from({ length: 100 }, (_, i) => i + 1);
  const { found, asked } = await read(places, { after: 10, through: 100, limit: 20 });
  assertEquals(found, places.slice(10, 30));
  assertEquals(asked, [20]);
});

test("deltas that are far apart are found in order, in few questions, up to the last place", async () => {
  const places = [3, 4, 70_000, 900_000, 900_001, 1_000_000, 1_000_001];
  const { found, asked } = await read(places, { after: 3, through: 1_000_000, limit: 100 });
  assertEquals(found, [4, 70_000, 900_000, 900_001, 1_000_000]);
  assert(asked.length < 16);
  const page = await read(places, { after: 3, through: 1_000_000, limit: 2 });
  assertEquals(page.found, [4, 70_000]);
});

test("of no tables, and behind the last place, nothing is read", async () => {
  const { work, server, asked } = tableOf([1, 2]);
  const range = { server, columns: "pos", after: 0, through: 2, limit: 10 };
  assertEquals(await readDeltaRange(work, { ...range, tables: [] }), []);
  assertEquals(await readDeltaRange(work, { ...range, tables: ["t"], after: 2 }), []);
  assertEquals(asked, []);
});
