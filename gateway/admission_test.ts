import { test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { Admission } from "./admission.ts";

const KIB = 1024;

test("work is admitted while there is room, and refused with BACKPRESSURE when there is none", () => {
  const admission = new Admission({ bytes: 1000 * KIB });
  const first = admission.begin("a");
  assertEquals(first.take(400 * KIB), undefined);
  const second = admission.begin("a");
  const refused = second.take(400 * KIB);
  assertEquals([refused?.code, refused?.details], ["BACKPRESSURE", { retryAfterMs: 1000 }]);
  assertEquals(admission.taken, 400 * KIB, "what is refused takes nothing");
  first.end();
  assertEquals(second.take(400 * KIB), undefined);
  second.end();
  second.end();
  assertEquals(admission.taken, 0);
});

test("small work still gets through beside huge work that fills what it may", () => {
  const admission = new Admission({ bytes: 1000 * KIB });
  for (let i = 0; i < 3; i++) assertEquals(admission.begin("a").take(250 * KIB), undefined);
  assertEquals(admission.begin("a").take(250 * KIB)?.code, "BACKPRESSURE");
  for (let i = 0; i < 10; i++) assertEquals(admission.begin("a").take(20 * KIB), undefined);
});

test("work that grows a little at a time is large once it has grown large", () => {
  const admission = new Admission({ bytes: 1000 * KIB });
  admission.begin("a").take(10);
  const growing = admission.begin("a");
  let taken = 0;
  while (growing.take(KIB) === undefined) taken++;
  assertEquals(taken, 749);
});

test("the only work of a gateway has room, however large it is", () => {
  const admission = new Admission({ bytes: 100, share: 0.5 });
  const huge = admission.begin("a");
  assertEquals([huge.take(5000 * KIB), huge.take(5000 * KIB)], [undefined, undefined]);
  assertEquals(admission.begin("a").take(1)?.code, "BACKPRESSURE");
  assertEquals(admission.begin("b").take(1), undefined);
});

test("one gateway's flood leaves the others their part", () => {
  const admission = new Admission({ bytes: 1000 * KIB, share: 0.5 });
  while (admission.begin("flooded").take(10 * KIB) === undefined);
  assertEquals(admission.taken, 500 * KIB);
  const other = admission.begin("other");
  assertEquals(other.take(200 * KIB), undefined);
  assertEquals(admission.begin("other").take(40 * KIB), undefined);
});

test("work that has ended is given nothing more", () => {
  const admission = new Admission({ bytes: 1000 });
  const work = admission.begin("a");
  work.take(10);
  work.end();
  assertEquals(work.take(10)?.code, "BACKPRESSURE");
  assertEquals(admission.taken, 0);
});

test("over any history the bytes in hand are those of the work under way, and within the budget", () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 120_000 }), fc.boolean()));
  fc.assert(
    fc.property(steps, (steps) => {
      const admission = new Admission({ bytes: 300_000, share: 0.5 });
      const work = new Map<number, { taken: number; ticket: ReturnType<Admission["begin"]> }>();
      for (const [who, bytes, end] of steps) {
        const gateway = who % 2 === 0 ? "a" : "b";
        const item = work.get(who) ?? { taken: 0, ticket: admission.begin(gateway) };
        work.set(who, item);
        if (item.ticket.take(bytes) === undefined) item.taken += bytes;
        if (end) {
          item.ticket.end();
          work.delete(who);
        }
        const items = [...work];
        assertEquals(admission.taken, items.reduce((sum, [, { taken }]) => sum + taken, 0));
        for (const parity of [0, 1]) {
          const ours = items.filter(([who, { taken }]) => who % 2 === parity && taken > 0);
          const sum = ours.reduce((sum, [, { taken }]) => sum + taken, 0);
          // One that was alone may have grown beyond it; others come beside it only within it.
          assert(ours.length <= 1 || sum <= 150_000 || ours.some(([, w]) => w.taken > 150_000));
        }
      }
    }),
    { seed: 42 },
  );
});

test("a budget of nothing is a mistake of the program", () => {
  for (
    const options of [{ bytes: 0 }, { bytes: NaN }, { bytes: 1, share: 0 }, { bytes: 1, share: 2 }]
  ) {
    assertThrows(() => new Admission(options), TypeError);
  }
});
