import { test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatLogSeq, hasReached, isLogSeq, type LogSeq, parseLogSeq } from "./log_seq.ts";

const seqs: fc.Arbitrary<LogSeq> = fc.oneof(
  fc.nat(),
  fc.dictionary(fc.string(), fc.nat(), { minKeys: 1 }),
);

test("a position comes back from its text, whatever its shards are called", () => {
  fc.assert(
    fc.property(seqs, (seq) => {
      const back = parseLogSeq(formatLogSeq(seq));
      assert(back !== undefined);
      assert(hasReached(back, seq) && hasReached(seq, back));
    }),
    { seed: 42 },
  );
});

test("a shard called __proto__ counts like any other", () => {
  const text = '{"__proto__":5}';
  const seq = parseLogSeq(text);
  assert(seq !== undefined);
  assertEquals(formatLogSeq(seq), text);
  assert(!hasReached({ other: 9 }, seq));
});

test("positions of different logs reach each other never", () => {
  assert(!hasReached(9, { a: 1 }));
  assert(!hasReached({ a: 9 }, 1));
  assert(!hasReached({ a: 9 }, { b: 1 }));
});

test("a position with more shards has reached one that is behind it in all of its own", () => {
  assert(hasReached({ a: 2, b: 0 }, { a: 2 }));
  assert(!hasReached({ a: 1, b: 9 }, { a: 2 }));
});

test("what is no position is not taken for one", () => {
  for (
    const value of [-1, 0.5, 2 ** 53, "1", null, undefined, [], [1], {}, { a: "1" }, { a: -1 }]
  ) {
    assert(!isLogSeq(value), JSON.stringify(value));
  }
  for (const text of ["", "x", "[]", "{}", "null", '"1"']) {
    assertEquals(parseLogSeq(text), undefined);
  }
});
