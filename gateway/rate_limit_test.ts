import { test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { memoryRateLimiter } from "./rate_limit.ts";

/** A clock that stands where a test puts it. */
class Hand {
  ms = 1_000_000;
  now(): number {
    return this.ms;
  }
}

const alice = { gateway: "default", client: "alice" };
const bob = { gateway: "default", client: "bob" };

test("memoryRateLimiter() lets a burst through, then its rate, and says when the next one is due", () => {
  const clock = new Hand();
  const limiter = memoryRateLimiter({ perClient: { perSecond: 4, burst: 3 }, clock });
  assertEquals([1, 2, 3, 4].map(() => limiter.take(alice)), [undefined, undefined, undefined, 250]);
  clock.ms += 100;
  assertEquals(limiter.take(alice), 150);
  clock.ms += 150;
  assertEquals([limiter.take(alice), limiter.take(alice)], [undefined, 250]);
});

test("a request that is not let through does not count", () => {
  const clock = new Hand();
  const limiter = memoryRateLimiter({ perClient: { perSecond: 1, burst: 1 }, clock });
  limiter.take(alice);
  for (let i = 0; i < 100; i++) assertEquals(limiter.take(alice), 1000);
  clock.ms += 1000;
  assertEquals(limiter.take(alice), undefined);
});

test("clients of one gateway, and one client's name on two gateways, have buckets of their own", () => {
  const limiter = memoryRateLimiter({ perClient: { perSecond: 1, burst: 1 }, clock: new Hand() });
  assertEquals(limiter.take(alice), undefined);
  assertEquals(limiter.take(bob), undefined);
  assertEquals(limiter.take({ ...alice, gateway: "other" }), undefined);
  assertEquals(limiter.take(alice), 1000);
});

test("a gateway's rate holds over all its clients, and leaves other gateways alone", () => {
  const limiter = memoryRateLimiter({
    perClient: { perSecond: 10 },
    perGateway: { perSecond: 2, burst: 2 },
    clock: new Hand(),
  });
  assertEquals([limiter.take(alice), limiter.take(bob)], [undefined, undefined]);
  assertEquals(limiter.take({ ...alice, client: "carol" }), 500);
  assertEquals(limiter.take({ ...alice, gateway: "other" }), undefined);
});

test("what a gateway's rate refuses takes nothing from the client's", () => {
  const clock = new Hand();
  const limiter = memoryRateLimiter({
    perClient: { perSecond: 0.1, burst: 1 },
    perGateway: { perSecond: 1, burst: 1 },
    clock,
  });
  limiter.take(bob);
  assertEquals(limiter.take(alice), 1000);
  clock.ms += 1000;
  assertEquals(limiter.take(alice), undefined);
});

test("a clock that is set back gives nothing away and locks nobody out", () => {
  const clock = new Hand();
  const limiter = memoryRateLimiter({ perClient: { perSecond: 1, burst: 1 }, clock });
  limiter.take(alice);
  clock.ms -= 3_600_000;
  assertEquals(limiter.take(alice), 1000);
  clock.ms += 1000;
  assertEquals(limiter.take(alice), undefined);
});

test("the most clients are remembered, those that asked last", () => {
  const limiter = memoryRateLimiter({
    perClient: { perSecond: 1, burst: 1 },
    maxClients: 2,
    clock: new Hand(),
  });
  for (const client of ["a", "b", "c"]) limiter.take({ gateway: "default", client });
  assertEquals(limiter.take({ gateway: "default", client: "c" }), 1000);
  assertEquals(limiter.take({ gateway: "default", client: "b" }), 1000);
  assertEquals(limiter.take({ gateway: "default", client: "a" }), undefined);
});

test("over any history a client gets at most its burst and its rate, and waits as long as it was told", () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 700 })), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (steps) => {
      const clock = new Hand();
      const limiter = memoryRateLimiter({ perClient: { perSecond: 2, burst: 3 }, clock });
      const begin = clock.ms;
      const passed = new Map<number, number>();
      for (const [who, ms] of steps) {
        clock.ms += ms;
        const request = { gateway: "g", client: String(who) };
        let wait = limiter.take(request);
        if (typeof wait === "number") {
          clock.ms += Math.ceil(wait);
          wait = limiter.take(request) as number | undefined;
        }
        assertEquals(wait, undefined);
        const count = (passed.get(who) ?? 0) + 1;
        passed.set(who, count);
        assert(count <= 3 + (clock.ms - begin) * 2 / 1000 + 1e-6);
      }
    }),
    { seed: 42 },
  );
});

test("a rate that lets nothing through is a mistake of the program", () => {
  for (const perSecond of [0, -1, NaN, Infinity]) {
    assertThrows(() => memoryRateLimiter({ perClient: { perSecond } }), TypeError);
  }
  assertThrows(() => memoryRateLimiter({ perGateway: { perSecond: 1, burst: 0.5 } }), TypeError);
});
