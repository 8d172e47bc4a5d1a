import { assertEquals } from "@std/assert";
import { unwrapOrThrow } from "@lakesync/core";
import { Prng } from "../prng.ts";
import {
  append,
  appendRequest,
  type Check,
  insertTodo,
  insertTodos,
  makeDelta,
  readSeqs,
} from "./fixture.ts";

/** Entries that are found by their keys. */
export function registerKeyCases(check: Check): void {
  check("reads the entries of some keys in order, each once", async ({ store }) => {
    const keys = (_: unknown, i: number) => [
      ...(i % 2 === 0 ? ["two"] : []),
      ...(i % 3 === 0 ? ["three"] : []),
    ];
    await append(store, appendRequest(insertTodos(12), { keys }));
    const read = (wanted: readonly string[], after = 0, more = {}) =>
      readSeqs(store, after, { limit: 100, keys: wanted, ...more });
    assertEquals(await read(["two"]), [1, 3, 5, 7, 9, 11]);
    assertEquals(await read(["three"]), [1, 4, 7, 10]);
    assertEquals(await read(["two", "three", "two"]), [1, 3, 4, 5, 7, 9, 10, 11]);
    assertEquals(await read(["two", "nobody's"], 5), [7, 9, 11]);
    assertEquals(await read(["nobody's"]), []);
    assertEquals(await read([]), []);
    assertEquals(await read(["two", "three"], 3, { through: 9 }), [4, 5, 7, 9]);
    assertEquals(await read(["two", "three"], 3, { limit: 2 }), [4, 5]);
    assertEquals(await read(["two", "three"], 3, { maxChars: 1 }), [4]);
    assertEquals(await read(["two"], 12), []);
    assertEquals((await readSeqs(store, 0, { limit: 100 })).length, 12, "all without keys");
  });

  check("reads an entry by a key in full, with its transaction's end", async ({ store }) => {
    const deltas = insertTodos(5);
    const keys = (_: unknown, i: number) => i === 1 ? ["k"] : [];
    await append(store, appendRequest(deltas, { keys, endsTx: (i) => i === 3 }));
    const [found] = unwrapOrThrow(await store.read(0, { limit: 9, keys: ["k"] }));
    const [same] = unwrapOrThrow(await store.read(1, { limit: 1 }));
    assertEquals(found, same);
    assertEquals([found?.seq, found?.txLast], [2, 4]);
    assertEquals(JSON.parse(found!.json), deltas[1]);
  });

  check("pages through many keys of a long log", async ({ store }) => {
    const random = new Prng(7);
    const keysOf = new Map<number, string[]>();
    for (let start = 0; start < 2_000; start += 500) {
      const deltas = Array.from({ length: 500 }, (_, i) => insertTodo(`r${start + i}`, start + i));
      const keys = (_: unknown, i: number) => {
        const seq = start + i + 1;
        // One key has most entries, many have few, and some entries have several.
        const own = [...new Set([0, 1, 2].map(() => random.int(0, 60)))].map((n) => `k${n}`);
        const all = seq > 1_200 ? ["dense", ...own] : own;
        keysOf.set(seq, all);
        return all;
      };
      await append(store, appendRequest(deltas, { keys }));
    }
    const wanted = ["dense", ...Array.from({ length: 40 }, (_, i) => `k${i}`)];
    for (const keys of [wanted, wanted.slice(1, 3), ["dense"]]) {
      const expected = [...keysOf].filter(([, own]) => own.some((key) => keys.includes(key)))
        .map(([seq]) => seq);
      const found: number[] = [];
      for (let page: number[] = [0]; page.length > 0;) {
        page = await readSeqs(store, found.at(-1) ?? 0, { limit: 70, keys });
        found.push(...page);
      }
      assertEquals(found, expected);
    }
  });

  check("has no keys of trimmed entries, and those of later ones", async ({ store }) => {
    const keys = (_: unknown, i: number) => i % 2 === 0 ? ["k"] : ["other", "k"];
    await append(store, appendRequest(insertTodos(6), { keys }));
    unwrapOrThrow(await store.trim({ through: 3 }));
    assertEquals(await readSeqs(store, 3, { limit: 9, keys: ["k"] }), [4, 5, 6]);
    assertEquals(await readSeqs(store, 3, { limit: 9, keys: ["other"] }), [4, 6]);
    const early = await store.read(2, { limit: 1, keys: ["k"] });
    assertEquals(early.ok || early.error.code, "CHECKPOINT_REQUIRED");
    unwrapOrThrow(await store.trim({ through: 6 }));
    assertEquals(await readSeqs(store, 6, { limit: 9, keys: ["k", "other"] }), []);
    await append(store, appendRequest([insertTodo("x", 100)], { keys }));
    assertEquals(await readSeqs(store, 6, { limit: 9, keys: ["k"] }), [7]);
  });

  check("tells all keys apart, whatever their letters", async ({ store }) => {
    const odd = [
      "__proto__",
      "constructor",
      "a\0b",
      "a\0c",
      "a\x01\x02b",
      "A",
      "a",
      "é",
      "e\u0301",
      "😀",
      "%",
      '["x","y"]',
      "z".repeat(512),
    ];
    await append(store, appendRequest(insertTodos(odd.length), { keys: (_, i) => [odd[i]!] }));
    for (const [i, key] of odd.entries()) {
      const found = await readSeqs(store, 0, { limit: 9, keys: [key] });
      assertEquals(found, [i + 1], JSON.stringify(key));
    }
  });

  check("finds a table's entries by the key t:table that they all have", async ({ store }) => {
    const deltas = insertTodos(9).map((delta, i) =>
      i % 4 === 0 ? makeDelta({ ...delta, table: "__proto__" }) : delta
    );
    const keys = ({ table }: { table: string }, i: number) =>
      i === 2 ? ["x", `t:${table}`] : [`t:${table}`];
    await append(store, appendRequest(deltas, { keys }));
    const read = (...wanted: string[]) => readSeqs(store, 0, { limit: 100, keys: wanted });
    assertEquals(await read("t:__proto__"), [1, 5, 9]);
    assertEquals(await read("t:__proto__", "x"), [1, 3, 5, 9]);
    assertEquals(await read("t:todos"), [2, 3, 4, 6, 7, 8]);
    assertEquals(await read("t:todos", "t:__proto__"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assertEquals(await read("t:nothing"), []);
  });
}
