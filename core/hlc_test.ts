import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { ManualClock, test } from "@lakesync/testing";
import fc from "fast-check";
import { compareHlc, type Hlc, HybridClock, isHlc, packHlc, unpackHlc } from "./hlc.ts";

const MAX_WALL_MS = 2 ** 48 - 1;
const MAX_HLC = "18446744073709551615";

const parts = fc.record({
  wallMs: fc.integer({ min: 0, max: MAX_WALL_MS }),
  counter: fc.integer({ min: 0, max: 0xffff }),
}).filter(({ wallMs, counter }) => wallMs > 0 || counter > 0);
const hlc: fc.Arbitrary<Hlc> = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String);

test("packHlc() puts the wall part above 16 bits of counter", () => {
  assertEquals(packHlc({ wallMs: 0, counter: 1 }), "1");
  assertEquals(packHlc({ wallMs: 0, counter: 0xffff }), "65535");
  assertEquals(packHlc({ wallMs: 1, counter: 0 }), "65536");
  assertEquals(packHlc({ wallMs: 1_728_000_000_000, counter: 7 }), "113246208000000007");
  assertEquals(packHlc({ wallMs: MAX_WALL_MS, counter: 0xffff }), MAX_HLC);
});

test("packHlc() throws TypeError for parts that are out of range", () => {
  const bad = [
    [0, 0],
    [-1, 0],
    [1, -1],
    [1, 0x10000],
    [MAX_WALL_MS + 1, 0],
    [1.5, 0],
    [1, 0.5],
    [NaN, 0],
    [Infinity, 0],
  ];
  for (const [wallMs, counter] of bad) {
    assertThrows(
      () => packHlc({ wallMs: wallMs!, counter: counter! }),
      TypeError,
      "Cannot pack a stamp",
    );
  }
});

test("unpackHlc() undoes packHlc(), and the other way round", () => {
  fc.assert(
    fc.property(parts, (parts) => {
      assertEquals(unpackHlc(packHlc(parts)), parts);
    }),
    { seed: 42 },
  );
  fc.assert(
    fc.property(hlc, (hlc) => {
      assertEquals(packHlc(unpackHlc(hlc)), hlc);
      assert(isHlc(hlc));
    }),
    { seed: 42 },
  );
});

test("isHlc() takes decimal strings from 1 to 2^64 - 1 in their one form only", () => {
  for (const good of ["1", "9", "10", "65536", "9223372036854775808", MAX_HLC]) {
    assert(isHlc(good), good);
  }
  const bad = [
    "",
    "0",
    "01",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "1.0",
    "1e3",
    "0x10",
    "1_000",
    "１",
    "abc",
    "18446744073709551616",
    "99999999999999999999",
    "100000000000000000000",
    1,
    1n,
    null,
    undefined,
    ["1"],
    { toString: () => "1" },
  ];
  for (const value of bad) assertFalse(isHlc(value), `took ${String(value)}`);
});

test("compareHlc() orders as the numbers do", () => {
  const sign = (a: bigint, b: bigint) => a < b ? -1 : a > b ? 1 : 0;
  const near = fc.tuple(hlc, fc.integer({ min: -2, max: 2 })).map(([a, step]): [Hlc, Hlc] => {
    const b = BigInt(a) + BigInt(step);
    return [a, String(b < 1n ? 1n : b > 2n ** 64n - 1n ? 2n ** 64n - 1n : b)];
  });
  fc.assert(
    fc.property(fc.oneof(fc.tuple(hlc, hlc), near), ([a, b]) => {
      assertEquals(Math.sign(compareHlc(a, b)), sign(BigInt(a), BigInt(b)));
    }),
    { seed: 42, numRuns: 1_000 },
  );
  assertEquals(["10", "9", "100", "99"].sort(compareHlc), ["9", "10", "99", "100"]);
});

test("HybridClock.now() follows physical time with counter 0", () => {
  const wall = new ManualClock(1_000);
  const clock = new HybridClock({ clock: wall });
  assertEquals(clock.now(), packHlc({ wallMs: 1_000, counter: 0 }));
  wall.set(1_007);
  assertEquals(clock.now(), packHlc({ wallMs: 1_007, counter: 0 }));
});

test("HybridClock.now() counts up while the clock stands still or has gone back", () => {
  const wall = new ManualClock(1_000);
  const clock = new HybridClock({ clock: wall });
  clock.now();
  assertEquals(clock.now(), packHlc({ wallMs: 1_000, counter: 1 }));
  wall.set(3);
  assertEquals(clock.now(), packHlc({ wallMs: 1_000, counter: 2 }));
  wall.set(1_001);
  assertEquals(clock.now(), packHlc({ wallMs: 1_001, counter: 0 }));
});

test("HybridClock.now() carries an overflowing counter into the wall part", () => {
  const clock = new HybridClock({
    clock: new ManualClock(1_000),
    last: packHlc({ wallMs: 1_000, counter: 0xffff }),
  });
  assertEquals(clock.now(), packHlc({ wallMs: 1_001, counter: 0 }));
  assertEquals(clock.now(), packHlc({ wallMs: 1_001, counter: 1 }));
});

test("HybridClock.now() makes 200,000 rising stamps within one millisecond", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  let last = 0n;
  for (let i = 0; i < 200_000; i++) {
    const stamp = BigInt(clock.now());
    if (stamp <= last) throw new Error(`${stamp} after ${last}`);
    last = stamp;
  }
  assertEquals(last, BigInt(packHlc({ wallMs: 1_000, counter: 0 })) + 199_999n);
});

test("HybridClock.now() never makes the stamp 0, also where physical time is 0 or below", () => {
  for (const start of [0, -5, -1e15]) {
    const clock = new HybridClock({ clock: new ManualClock(start) });
    assertEquals([clock.now(), clock.now()], ["1", "2"]);
  }
});

test("HybridClock.now() throws and stays as it was where there is no greater stamp", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000), last: MAX_HLC });
  assertThrows(() => clock.now(), TypeError, "Cannot make a stamp");
  assertEquals(clock.last, MAX_HLC);
});

test("HybridClock.wallMs() is physical time with the offset in whole milliseconds in range", () => {
  const wall = new ManualClock(1_000.9);
  const clock = new HybridClock({ clock: wall });
  assertEquals(clock.wallMs(), 1_000);
  clock.offsetMs = -400.5;
  assertEquals(clock.wallMs(), 600);
  clock.offsetMs = -2_000;
  assertEquals(clock.wallMs(), 0);
  clock.offsetMs = 2 ** 50;
  assertEquals(clock.wallMs(), MAX_WALL_MS);
});

test("HybridClock.now() goes by the offset", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  clock.offsetMs = 250;
  assertEquals(clock.now(), packHlc({ wallMs: 1_250, counter: 0 }));
});

test("HybridClock.last is undefined at first, then the greatest stamp made or seen", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  assertEquals(clock.last, undefined);
  const made = clock.now();
  assertEquals(clock.last, made);
  clock.observe("5");
  assertEquals(clock.last, made);
  const seen = packHlc({ wallMs: 9_000, counter: 3 });
  clock.observe(seen);
  assertEquals(clock.last, seen);
});

test("HybridClock goes on above `last` after a restart with a clock that went back", () => {
  const before = new HybridClock({ clock: new ManualClock(5_000) });
  const stamp = before.now();
  const { last } = before;
  assert(last !== undefined);
  const after = new HybridClock({ clock: new ManualClock(10), last });
  assertEquals(after.now(), packHlc({ wallMs: 5_000, counter: 1 }));
  assert(compareHlc(after.last!, stamp) > 0);
});

test("HybridClock.observe() takes any stamp, however far ahead, and goes on above it", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  const far = packHlc({ wallMs: MAX_WALL_MS, counter: 5 });
  clock.observe(far);
  assertEquals(clock.now(), packHlc({ wallMs: MAX_WALL_MS, counter: 6 }));
});

test("HybridClock.observe() tells stamps of one millisecond apart by their counter", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  clock.observe(packHlc({ wallMs: 2_000, counter: 5 }));
  clock.observe(packHlc({ wallMs: 2_000, counter: 4 }));
  assertEquals(clock.last, packHlc({ wallMs: 2_000, counter: 5 }));
  clock.observe(packHlc({ wallMs: 2_000, counter: 6 }));
  assertEquals(clock.last, packHlc({ wallMs: 2_000, counter: 6 }));
});

test("HybridClock.receive() takes a stamp exactly at the drift limit, with any counter", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  const stamp = packHlc({ wallMs: 6_000, counter: 0xffff });
  assertEquals(clock.receive(stamp, { maxDriftMs: 5_000 }), { ok: true, value: undefined });
  assertEquals(clock.last, stamp);
});

test("HybridClock.receive() answers CLOCK_DRIFT 1 ms beyond the limit and stays as it was", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  const made = clock.now();
  const received = clock.receive(packHlc({ wallMs: 6_001, counter: 0 }), { maxDriftMs: 5_000 });
  assert(!received.ok);
  assertEquals(received.error.code, "CLOCK_DRIFT");
  assertEquals(received.error.details, { aheadMs: 5_001, maxDriftMs: 5_000 });
  assertEquals(clock.last, made);
});

test("HybridClock.receive() judges by physical time, not by stamps seen before", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  clock.observe(packHlc({ wallMs: 60_000, counter: 0 }));
  assertFalse(clock.receive(packHlc({ wallMs: 6_001, counter: 0 }), { maxDriftMs: 5_000 }).ok);
});

test("HybridClock.receive() judges with the offset and takes any stamp from the past", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  clock.offsetMs = 1;
  assert(clock.receive(packHlc({ wallMs: 6_001, counter: 0 }), { maxDriftMs: 5_000 }).ok);
  assert(clock.receive("1", { maxDriftMs: 0 }).ok);
  assertEquals(clock.last, packHlc({ wallMs: 6_001, counter: 0 }));
});

test("HybridClock.reset() sets the high-water mark, also backwards or to none", () => {
  const clock = new HybridClock({ clock: new ManualClock(1_000) });
  clock.observe(packHlc({ wallMs: 9_000, counter: 3 }));
  clock.reset(packHlc({ wallMs: 2_000, counter: 1 }));
  assertEquals(clock.now(), packHlc({ wallMs: 2_000, counter: 2 }));
  clock.reset(undefined);
  assertEquals(clock.last, undefined);
  assertEquals(clock.now(), packHlc({ wallMs: 1_000, counter: 0 }));
});

test("HybridClock's stamps rise strictly through any history of clock jumps, stamps seen and restarts", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("now" as const) }),
    fc.record({
      kind: fc.constantFrom("set" as const, "offset" as const),
      ms: fc.integer({ min: -20, max: 20 }),
    }),
    fc.record({
      kind: fc.constantFrom("receive" as const, "observe" as const),
      aheadMs: fc.integer({ min: -10, max: 10 }),
      counter: fc.constantFrom(0, 1, 0xfffe, 0xffff),
    }),
    fc.record({ kind: fc.constant("restart" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const wall = new ManualClock(1_000);
      let clock = new HybridClock({ clock: wall });
      let greatest = 0n;
      for (const step of steps) {
        if ("ms" in step) {
          if (step.kind === "set") wall.set(1_000 + step.ms);
          else clock.offsetMs = step.ms;
        } else if (step.kind === "restart") {
          clock = new HybridClock({
            clock: wall,
            ...(clock.last !== undefined && { last: clock.last }),
          });
        } else if (step.kind === "now") {
          const stamp = BigInt(clock.now());
          assert(stamp > greatest);
          assert(stamp >= BigInt(clock.wallMs()) << 16n);
          greatest = stamp;
        } else {
          const stamp = packHlc({ wallMs: clock.wallMs() + step.aheadMs, counter: step.counter });
          const taken = step.kind === "observe"
            ? (clock.observe(stamp), true)
            : clock.receive(stamp, { maxDriftMs: 5 }).ok;
          assertEquals(taken, step.kind === "observe" || step.aheadMs <= 5);
          if (taken && BigInt(stamp) > greatest) greatest = BigInt(stamp);
        }
        assertEquals(BigInt(clock.last ?? "0"), greatest);
      }
    }),
    { seed: 42, numRuns: 300 },
  );
});
