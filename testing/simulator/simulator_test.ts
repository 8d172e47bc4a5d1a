import { assert, assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { coverageText, FAULTS, missing } from "./coverage.ts";
import { generate } from "./generate.ts";
import { shrink } from "./shrink.ts";
import { keepSteps, simulate } from "./simulate.ts";

test("a schedule is data, in the order of its times, and a function of its seed", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const schedule = generate(seed);
    assertEquals(JSON.parse(JSON.stringify(schedule)), generate(seed));
    const times = schedule.steps.map(({ at }) => at);
    assertEquals(times, [...times].sort((a, b) => a - b));
  }
});

test({ name: "a seed replays exactly, on either store", timeoutMs: 120_000 }, async () => {
  const stores = new Set<string>();
  for (let seed = 1; stores.size < 2 || seed <= 2; seed++) {
    const schedule = generate(seed);
    const { store } = schedule.setting;
    if (seed > 2 && stores.has(store)) continue;
    stores.add(store);
    const first = await simulate(schedule, { keepLines: true });
    const again = await simulate(schedule);
    assert(first.lines.length > 100);
    assertEquals(again.digest, first.digest);
    assertEquals(again.events, first.events);
    assertEquals(again.counts, first.counts);
  }
});

test({ name: "the first seeds keep every promise", timeoutMs: 120_000 }, async () => {
  for (let seed = 1; seed <= 12; seed++) {
    assertEquals({ seed, violation: (await simulate(generate(seed))).violation }, {
      seed,
      violation: undefined,
    });
  }
});

test({ name: "a seed with rules and WebSockets replays exactly", timeoutMs: 120_000 }, async () => {
  const schedule = generate(12);
  const { devices, auth } = schedule.setting;
  assert(auth !== undefined && devices.some(({ socket }) => socket !== undefined));
  const first = await simulate(schedule);
  const again = await simulate(schedule);
  assert((first.counts.get("check page") ?? 0) > 0 && (first.counts.get("socket page") ?? 0) > 0);
  assertEquals([again.digest, again.counts], [first.digest, first.counts]);
});

test({
  name: "a seed whose lake is kept in shape replays exactly, in files and in a REST catalogue",
  timeoutMs: 120_000,
}, async () => {
  for (const rest of [false, true]) {
    let seed = 1;
    let schedule = generate(seed);
    const fits = ({ setting: { lake } }: typeof schedule): boolean =>
      lake !== undefined && (lake.rest !== undefined) === rest;
    while (!fits(schedule)) schedule = generate(++seed);
    const first = await simulate(schedule);
    const again = await simulate(schedule);
    assertEquals(first.violation, undefined);
    assert((first.counts.get("maintain compact") ?? 0) > 0);
    assert((first.counts.get("check state snapshot") ?? 0) > 0);
    assertEquals([again.digest, again.counts], [first.digest, first.counts]);
  }
});

test("a schedule runs with a part of its steps", async () => {
  const schedule = generate(3);
  const places = [...schedule.steps.keys()].filter((place) => place % 3 === 0);
  const part = keepSteps(schedule, places);
  assertEquals(part.steps.length, places.length);
  assertEquals((await simulate(part)).violation, undefined);
});

test("shrinking leaves only what it takes to fail", async () => {
  const needed = [3, 17, 40];
  const left = await shrink(64, {
    fails: (places) => Promise.resolve(needed.every((place) => places.includes(place))),
    maxTries: 1_000,
  });
  assertEquals(left, needed);
});

test("a fault that never came about is named", () => {
  assert(missing(new Map()).includes("lake 412"));
  assertEquals(missing(new Map([["lake 412", 1]])).includes("lake 412"), false);
  assert(coverageText(new Map([[FAULTS[0]!, 7]])).includes(`${FAULTS[0]} 7`));
});
