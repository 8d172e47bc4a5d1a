import { httpTransport } from "@lakesync/client";
import {
  type Delta,
  type DeltaContent,
  deltaId,
  HybridClock,
  systemClock,
  unwrapOrThrow,
} from "@lakesync/core";
import { assertEquals } from "@std/assert";

/** The most deltas of one push. */
const PUSH = 10_000;

/** Pushes rows of the tests' `todos` to a gateway, as a device would that does nothing else. */
export async function seedRows(url: string, rows: number): Promise<void> {
  const transport = httpTransport({ url });
  const clock = new HybridClock({ clock: systemClock });
  const clientId = "seed";
  for (let from = 0; from < rows; from += PUSH) {
    const deltas = Array.from({ length: Math.min(PUSH, rows - from) }, (_, i): Delta => {
      const n = from + i;
      const content: DeltaContent = {
        op: "INSERT",
        table: "todos",
        rowId: `row-${n}`,
        clientId,
        columns: [
          { column: "done", value: n % 2 === 0 },
          { column: "n", value: 1 },
          { column: "title", value: `todo ${n}` },
        ],
        hlc: clock.now(),
      };
      return { ...content, deltaId: deltaId(content) };
    });
    const answer = unwrapOrThrow(await transport.push({ clientId, deltas, schemaVersion: 1 }));
    assertEquals(answer.accepted, deltas.length);
  }
}
