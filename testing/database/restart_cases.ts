import { unwrapOrThrow } from "@lakesync/core";
import { assertEquals } from "@std/assert";
import type { Check } from "./delta_cases.ts";
import { allDeltas, batchOf, todo, TODOS } from "./fixture.ts";

const BATCHES = 40;
const DELTAS = 400;

/** What holds when the server is killed while data flows. */
export function registerRestartCases(check: Check, restart: () => Promise<void>): void {
  check(
    "loses and doubles nothing when the server is killed while data flows",
    async (database) => {
      const adapter = await database.open();
      const head = BATCHES * DELTAS;
      const kills = new Set([3, 11, 12, 25, 37]);
      let restarting: Promise<void> | undefined;
      let failures = 0;
      for (let seq = 0; seq < head;) {
        const marks = await adapter.watermarks(["todos"]);
        const from = marks.ok ? marks.value.get("todos")?.seq : undefined;
        if (marks.ok) {
          seq = from ?? 0;
          const deltas = Array.from(
            { length: Math.min(DELTAS, head - seq) },
            (_, i) => todo(`r${(seq + i) % 5_000}`, seq + i + 1, { n: seq + i }),
          );
          // Killed before the batch, within it, or just behind it.
          if (kills.delete(Math.floor(seq / DELTAS))) restarting = restart();
          const written = await adapter.insertDeltas(batchOf({ deltas, from, chunk: 100 }));
          const materialised = await adapter.materialise(TODOS);
          if (!written.ok || !materialised.ok) failures++;
        } else failures++;
        await restarting;
        restarting = undefined;
      }
      assertEquals(failures > 0, true);
      const stored = await allDeltas(adapter, 5_000);
      assertEquals(stored.map(({ seq }) => seq), Array.from({ length: head }, (_, i) => i + 1));
      unwrapOrThrow(await adapter.materialise(TODOS));
      const rows = await database.rows("todos");
      assertEquals(rows.length, 5_000);
      const newest = new Map(stored.map(({ delta }) => [delta.rowId, delta.columns[1]?.value]));
      for (const row of rows) {
        assertEquals(Number(row.get("n")), newest.get(row.get("id")!));
      }
    },
  );
}
