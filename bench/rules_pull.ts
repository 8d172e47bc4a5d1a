import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Delta, deltaIdText, packHlc, type Rules, unwrapOrThrow } from "@lakesync/core";
import type { Gateway } from "@lakesync/gateway";
import { openGateway, pushAll } from "./_gateway.ts";
import { type Benchmark, figureOf, measure, type Target, timed } from "./_harness.ts";
import { type PushBody, todos } from "./_workload.ts";

/** How many deltas the caller may see. */
const VISIBLE = 100;

/** The caller sees the rows whose title is its subject. */
const RULES: Rules = {
  version: 1,
  buckets: [{
    name: "own",
    tables: [todos.name],
    filters: [{ column: "title", op: "eq", value: "jwt:sub" }],
  }],
  write: [{ name: "all", tables: [todos.name], filters: [] }],
};

/** A pull by a client that may see a few deltas of many. */
export const rulesPull: Benchmark = {
  name: "rules-pull",
  about:
    "100 deltas of 1,000,000, evenly spread, pulled by the client whose rule (eq on a column) lets through no others: from its cursor to the head.",
  floor: "the same where its 100 deltas are among 1,000",
  async run({ quick, directory, progress }) {
    const many = quick ? 5_000 : 1_000_000;
    const few = 1_000;
    const [large, small] = [join(directory, "large.db"), join(directory, "small.db")];
    progress(`filling logs with ${many} and ${few} deltas`);
    const gateways = [await openGateway(large), await openGateway(small)] as const;
    for (const [i, gateway] of gateways.entries()) {
      unwrapOrThrow(await gateway.putRules(RULES));
      await pushAll(gateway, inserts(i === 0 ? many : few));
    }
    progress("pulling");
    const rates = await measure({
      many: () => timed(VISIBLE, () => pullVisible(gateways[0])),
      few: () => timed(VISIBLE, () => pullVisible(gateways[1])),
    }, { rounds: quick ? 1 : 21, warmUps: quick ? 0 : 5 });
    for (const gateway of gateways) await gateway.close();
    const figure = figureOf(rates, {
      name: "100 visible deltas of a million",
      unit: "deltas",
      lane: "many",
      floor: "few",
    });
    const times = 1 / figure.ratio.median;
    const target: Target = {
      name: "time of the floor's",
      value: times,
      unit: "×",
      bound: "at most",
      limit: 5,
    };
    return [{ ...figure, targets: [target] }];
  },
};

async function pullVisible(gateway: Gateway): Promise<void> {
  const query = new URLSearchParams({ clientId: "alice", cursor: "" });
  const page = unwrapOrThrow(await gateway.pull(query, { caller: { sub: undefined } }));
  if (page.items.length !== VISIBLE || page.hasMore) {
    throw new Error(`Pulled ${page.items.length} of ${VISIBLE} deltas`);
  }
}

/** Pushes of new rows, of which every so manieth is the caller's. */
function* inserts(count: number): Generator<PushBody> {
  const size = 1_000;
  const wallMs = Date.now() - 24 * 60 * 60 * 1000;
  for (let start = 0; start < count; start += size) {
    const deltas: Delta[] = [];
    for (let i = start; i < start + size; i++) {
      const owner = i % (count / VISIBLE) === 0 ? "alice" : `user-${i % 997}`;
      const content = {
        op: "INSERT",
        table: todos.name,
        rowId: `row-${i}`,
        clientId: "writer",
        hlc: packHlc({ wallMs: wallMs + i, counter: 0 }),
        columns: [
          { column: "title", value: owner },
          { column: "done", value: false },
          { column: "n", value: i },
        ],
      } as const;
      const deltaId = createHash("sha256").update(deltaIdText(content)).digest("hex");
      deltas.push({ ...content, deltaId });
    }
    yield { clientId: "writer", deltas };
  }
}
