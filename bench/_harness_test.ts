import { assertEquals } from "@std/assert";
import { test } from "@lakesync/testing";
import { figureOf, isMet, measure, spread } from "./_harness.ts";
import { targetText } from "./_report.ts";

test("measure() runs lanes by turns and leaves the warm-ups out", async () => {
  const order: string[] = [];
  const lane = (name: string) => () => {
    order.push(name);
    return { units: order.length, seconds: 2 };
  };
  const rates = await measure({ a: lane("a"), b: lane("b") }, { rounds: 2, warmUps: 1 });
  assertEquals(order, ["a", "b", "a", "b", "a", "b"]);
  assertEquals(rates, new Map([["a", [1.5, 2.5]], ["b", [2, 3]]]));
});

test("figureOf() divides round by round", () => {
  const rates = new Map([["ours", [10, 40, 90]], ["bare", [100, 200, 300]]]);
  const figure = figureOf(rates, { name: "x", unit: "rows", lane: "ours", floor: "bare" });
  assertEquals(figure.rate, { median: 40, min: 10, max: 90 });
  assertEquals(figure.ratio, { median: 0.2, min: 0.1, max: 0.3 });
});

test("spread() takes the mean of the two middle values of an even number", () => {
  assertEquals(spread([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
});

test("a target tells whether it was met and by how much", () => {
  const rate = { name: "rate", unit: "rows/s", bound: "at least", limit: 100, value: 150 } as const;
  assertEquals(isMet(rate), true);
  assertEquals(targetText(rate), "target: rate ≥ 100 rows/s: met, 150 rows/s, 50.0 % to spare");
  const loss = { name: "slower", unit: "%", bound: "at most", limit: 10, value: 12.5 } as const;
  assertEquals(isMet(loss), false);
  assertEquals(targetText(loss), "target: slower ≤ 10 %: MISSED, 12.5 %, by 2.5 points");
});
