import type { RuleBucket, RuleFilter, Rules } from "@lakesync/core";
import { Prng } from "../prng.ts";
import { CLIENT_IDS } from "./device.ts";
import type { OracleClaims } from "./rules_oracle.ts";
import type { Schedule, Step, WriteSpec } from "./schedule.ts";

const TEAMS = ["red", "green", "blue"];
const TABLES = ["items", "notes"];

/** The same schedule with users, tokens and rules, and with changes of both. */
export function addRules(schedule: Schedule): Schedule {
  const random = new Prng(BigInt(schedule.seed) + (1n << 32n));
  const { devices, instances } = schedule.setting;
  const subs = devices.map((_, index) => CLIENT_IDS[index]!.split(":")[0]!);
  const claims = Object.fromEntries([...new Set(subs)].map((sub) => [sub, makeClaims(random)]));
  const judged = (step: Step): Step =>
    step.do === "write"
      ? {
        ...step,
        writes: step.writes.map((write) => judgedBy(write, claims[subs[step.device]!]!, random)),
      }
      : step;
  const steps = schedule.steps.map(judged);
  const end = steps.at(-1)?.at ?? 0;
  let version = 1;
  for (let i = random.int(1, 6); i > 0; i--) {
    steps.push({
      at: random.int(1_000, end + 1_000),
      do: "rules",
      instance: random.int(0, instances - 1),
      rules: makeRules(random, ++version),
    });
  }
  for (let i = random.int(1, 6); i > 0; i--) {
    const at = random.int(1_000, end + 1_000);
    steps.push({ at, do: "claims", sub: random.pick(subs), claims: makeClaims(random) });
  }
  const auth = {
    rules: random.chance(0.85) ? makeRules(random, 1) : null,
    claims,
    tokenSeconds: random.pick([45, 45, 120, 400]),
  };
  // By a clock that is an hour behind a token is good for an hour more.
  const instanceSkewMs = schedule.setting.instanceSkewMs.map((ms) => Math.max(ms, -20_000));
  return {
    ...schedule,
    setting: { ...schedule.setting, auth, instanceSkewMs },
    steps: steps.sort((a, b) => a.at - b.at),
  };
}

/** Some values of what rules go by, mostly such that the writer may see them. */
function judgedBy(write: WriteSpec, claims: OracleClaims, random: Prng): WriteSpec {
  const { team } = claims;
  const own = typeof team === "string" && random.chance(0.6);
  return {
    ...write,
    judged: {
      team: own ? team : random.chance(0.15) ? null : random.pick(TEAMS),
      level: random.chance(0.1) ? null : random.int(0, 4),
      moves: random.chance(0.4),
    },
  };
}

/** What a token says: now and then something is missing, or of another type than one would think. */
function makeClaims(random: Prng): OracleClaims {
  const some = (): string[] => TEAMS.filter(() => random.chance(0.5));
  return {
    ...(random.chance(0.9) && { team: random.chance(0.05) ? 7 : random.pick(TEAMS) }),
    ...(random.chance(0.9) && { teams: random.chance(0.1) ? [1, ...some()] : some() }),
    ...(random.chance(0.9) && { level: random.chance(0.1) ? "3" : random.int(0, 4) }),
    ...(random.chance(0.9) && { org: { teams: some(), level: random.int(0, 4) } }),
  };
}

function makeRules(random: Prng, version: number): Rules {
  const buckets = (): RuleBucket[] =>
    Array.from({ length: random.int(1, 3) }, (_, i) => ({
      name: `b${i}`,
      tables: random.chance(0.6) ? TABLES : [random.pick(TABLES)],
      filters: Array.from({ length: random.pick([0, 1, 1, 1, 1, 2]) }, () => makeFilter(random)),
    }));
  const rules = { version, buckets: buckets() };
  const kind = random.int(0, 9);
  // Mostly everybody may write what they see, or everything.
  if (kind < 5) return rules;
  if (kind < 8) return { ...rules, write: [{ name: "all", tables: TABLES, filters: [] }] };
  return { ...rules, write: buckets() };
}

function makeFilter(random: Prng): RuleFilter {
  return random.pick<RuleFilter>([
    { column: "team", op: "eq", value: "jwt:team" },
    { column: "team", op: "in", value: "jwt:teams" },
    { column: "team", op: "eq", value: "jwt:teams" },
    { column: "team", op: "in", value: "jwt:org.teams" },
    { column: "team", op: "in", value: "jwt:team" },
    { column: "team", op: "eq", value: random.pick(TEAMS) },
    { column: "team", op: "neq", value: "jwt:team" },
    { column: "team", op: "neq", value: "red" },
    { column: "team", op: "gte", value: "green" },
    { column: "level", op: "lte", value: "jwt:org.level" },
    { column: "level", op: "lt", value: "jwt:level" },
    { column: "level", op: "gt", value: "jwt:level" },
    { column: "level", op: "gt", value: "jwt:teams" },
    { column: "level", op: "gt", value: random.int(0, 3) },
    { column: "level", op: "in", value: [1, 2, 3] },
    { column: "level", op: "gte", value: 2 },
    { column: "level", op: "neq", value: 3 },
    { column: "id", op: "in", value: ["r1", "r2"] },
    { column: "id", op: "neq", value: "r3" },
  ]);
}
