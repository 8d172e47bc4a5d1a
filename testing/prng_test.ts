import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { Prng, splitMix64 } from "./prng.ts";
import { test } from "./test.ts";

test("Prng gives the numbers of the authors' xoshiro128starstar.c", () => {
  const prng = Prng.fromState([1, 2, 3, 4]);
  // The output of version 1.1 for this state, as rand_xoshiro and others test it too.
  assertEquals(
    Array.from({ length: 10 }, () => prng.u32()),
    [
      11520,
      0,
      5927040,
      70819200,
      2031721883,
      1637235492,
      1287239034,
      3734860849,
      3729100597,
      4258142804,
    ],
  );
});

test("splitMix64() gives the numbers of the authors' splitmix64.c", () => {
  const next = splitMix64(1234567n);
  assertEquals(
    Array.from({ length: 5 }, () => next()),
    [
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
      4593380528125082431n,
      16408922859458223821n,
    ],
  );
});

test("Prng with one seed repeats itself, with another it differs", () => {
  const draw = (seed: number | bigint) => new Prng(seed).bytes(32);
  assertEquals(draw(42), draw(42));
  assertEquals(draw(42), draw(42n));
  assertNotEquals(draw(42), draw(43));
  assertNotEquals(draw(0), draw(-1));
});

test("Prng.bytes() gives any length, also one that is no multiple of four", () => {
  for (const length of [0, 1, 3, 4, 5, 64]) assertEquals(new Prng(1).bytes(length).length, length);
  assertEquals(new Prng(1).bytes(7), new Prng(1).bytes(8).subarray(0, 7));
});

test("Prng.uuid() gives version 4 UUIDs that differ", () => {
  const prng = new Prng(3);
  const ids = Array.from({ length: 1000 }, () => prng.uuid());
  for (const id of ids) {
    assertMatch(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  assertEquals(new Set(ids).size, ids.length);
});

test("Prng.int() gives every integer of the range about equally often, and no other", () => {
  const prng = new Prng(5);
  const counts = new Map<number, number>();
  for (let i = 0; i < 60_000; i++) {
    const n = prng.int(-2, 3);
    counts.set(n, (counts.get(n) ?? 0) + 1);
  }
  assertEquals([...counts.keys()].sort((a, b) => a - b), [-2, -1, 0, 1, 2, 3]);
  for (const count of counts.values()) assert(count > 9_500 && count < 10_500, `${count}`);
});

test("Prng.int() spans up to 2^32 integers and refuses what is no range", () => {
  const prng = new Prng(6);
  assertEquals(prng.int(9, 9), 9);
  for (let i = 0; i < 100; i++) {
    const n = prng.int(0, 2 ** 32 - 1);
    assert(Number.isInteger(n) && n >= 0 && n < 2 ** 32);
  }
  for (const [min, max] of [[1, 0], [0.5, 2], [0, 2 ** 32], [NaN, 1]] as const) {
    assertThrows(() => prng.int(min, max), TypeError, "not a range of integers");
  }
});

test("Prng.pick() picks every item and refuses an empty list", () => {
  const prng = new Prng(7);
  const picked = new Set(Array.from({ length: 100 }, () => prng.pick(["a", "b", "c"])));
  assertEquals(picked, new Set(["a", "b", "c"]));
  assertThrows(() => prng.pick([]), TypeError, "the list is empty");
});

test("Prng.chance() is true with about its probability, never with 0, always with 1", () => {
  const prng = new Prng(8);
  const hits = (p: number) =>
    Array.from({ length: 10_000 }, () => prng.chance(p)).filter(Boolean).length;
  assertEquals(hits(0), 0);
  assertEquals(hits(1), 10_000);
  const third = hits(1 / 3);
  assertGreater(third, 3_100);
  assertLess(third, 3_570);
});
