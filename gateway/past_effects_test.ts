import { assert, assertEquals } from "@std/assert";
import { indexTables, type Rules, unwrapOrThrow } from "@lakesync/core";
import { appendRequest, makeDelta, test } from "@lakesync/testing";
import { PastEffects } from "./past_effects.ts";
import { RulesRegistry } from "./rules_registry.ts";
import { memoryLogStore } from "./store_memory.ts";
import { TASKS } from "./testdata/rules_fixture.ts";

const RULES: Rules = {
  version: 1,
  buckets: [{
    name: "own",
    tables: ["tasks"],
    filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
  }],
};

/** Whether a past of so many rows, each with a title of so many characters, is judged again. */
async function isJudged(count: number, chars: number): Promise<boolean> {
  const store = memoryLogStore();
  for (let i = 0; i < count; i++) {
    const title = makeDelta({
      op: "INSERT",
      table: "tasks",
      rowId: `r${i}`,
      clientId: "alice",
      hlc: String(i + 1),
      columns: [{ column: "title", value: "x".repeat(chars) }],
    });
    unwrapOrThrow(await store.append(appendRequest([title])));
  }
  const registry = new RulesRegistry(store);
  unwrapOrThrow(await registry.put(RULES, indexTables([TASKS])));
  const inForce = unwrapOrThrow(await registry.current());
  assert(inForce !== undefined);
  return unwrapOrThrow(await new PastEffects(store).judgedBy(inForce)) !== undefined;
}

test("a past of few but large entries is not held in memory", async () => {
  assertEquals(await isJudged(20, 100_000), true);
  assertEquals(await isJudged(20, 1_000_000), false);
});
