import { databaseDestination, sqlAdapter } from "@lakesync/adapter-database";
import { postgresServer } from "@lakesync/adapter-postgres";
import { err, LakeSyncError, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import { assertEquals } from "@std/assert";
import { findPostgres, startPostgres } from "../postgres_server.ts";
import { Prng } from "../prng.ts";
import { test } from "../test.ts";
import { allDeltas, batchOf, deltaOf, todo, TODOS } from "./fixture.ts";

const { bin, skip } = await findPostgres();

/** A server whose transactions fail now and then: before they begin, within, or after their commit. */
function faulty(server: SqlServer, random: Prng): SqlServer {
  const lost = () => err(new LakeSyncError("OFFLINE", "the connection was lost"));
  return {
    place: server.place,
    dialect: server.dialect,
    describe: (work, table) => server.describe(work, table),
    close: () => server.close(),
    async transaction(body, options) {
      const fault = random.pick(["none", "none", "none", "before", "within", "after"] as const);
      if (fault === "before") return lost();
      let left = random.int(1, 6);
      const result = await server.transaction((work) =>
        body({
          run(statement) {
            if (fault === "within" && --left === 0) throw lost().error;
            return work.run(statement);
          },
        }), options);
      return fault === "after" ? lost() : result;
    },
  };
}

const SEEDS = 8;

/** Flushes through a faulty server until all is there, and compares. Counts what went wrong. */
async function flushThroughFaults(
  url: string,
  seed: number,
): Promise<{ failures: number; lostAnswers: number }> {
  const random = new Prng(seed);
  const schema = `seed_${seed}`;
  const sound = unwrapOrThrow(await postgresServer({ url, schema }));
  const adapter = sqlAdapter({ server: faulty(sound, new Prng(seed + 1)), name: "pg" });
  let failures = 0;
  const destination = databaseDestination(adapter, {
    materialise: {
      with: adapter,
      scheduler: { delay: () => Promise.resolve() },
      onFailure: () => failures++,
    },
  });
  const deltas = Array.from({ length: 300 }, (_, i) => {
    const rowId = `r${random.int(0, 40)}`;
    const op = random.pick(["insert", "update", "delete"] as const);
    if (op === "insert") return todo(rowId, i + 1, { n: i });
    if (op === "update") return deltaOf({ op: "UPDATE", rowId, hlc: i + 1, columns: { n: i } });
    return deltaOf({ op: "DELETE", rowId, hlc: i + 1 });
  });
  let lostAnswers = 0;
  for (let seq = 0; seq < deltas.length;) {
    const marks = await destination.watermarks(["todos"]);
    if (!marks.ok) continue;
    const from = marks.value.get("todos")?.seq;
    if ((from ?? 0) > seq) lostAnswers++;
    seq = from ?? 0;
    if (seq === deltas.length) break;
    const written = await destination.write(batchOf({ deltas: deltas.slice(seq, seq + 20), from }));
    if (written.ok && written.value.get("todos")?.status === "committed") {
      seq = Math.min(deltas.length, seq + 20);
    }
  }
  await destination.idle();
  const check = sqlAdapter({ server: sound, name: "pg" });
  assertEquals((await allDeltas(check)).map(({ delta }) => delta), deltas);
  const states = unwrapOrThrow(await check.getLatestState("todos"));
  const alive = states.rows.filter(({ state }) => state.life?.alive === true)
    .map(({ rowId, state }) => [rowId, String(state.columns.get("n")?.[0] ?? null)]);
  const rows = unwrapOrThrow(
    await sound.transaction((work) =>
      work.run({ text: `SELECT id, n FROM "${TODOS.table}" ORDER BY id`, parameters: [] })
    ),
  );
  assertEquals(rows.map(([id, n]) => [id!, String(n)]), alive);
  await destination.close();
  await check.close();
  return { failures, lostAnswers };
}

test({
  name:
    "databaseDestination() loses and doubles nothing where transactions fail, are lost half-way, or commit without an answer",
  skip,
}, async () => {
  await using server = await startPostgres({ bin: bin! });
  let failures = 0;
  let lostAnswers = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const counted = await flushThroughFaults(server.url, seed);
    failures += counted.failures;
    lostAnswers += counted.lostAnswers;
  }
  assertEquals([failures > 0, lostAnswers > 0], [true, true]);
});
