// The engines that compact, on a real S3 server.
import { compactTable, icebergLake } from "@lakesync/adapter-iceberg";
import { openAnalyst } from "@lakesync/analyst";
import { type Delta, packHlc, unwrapOrThrow } from "@lakesync/core";
import { findMinio, makeDelta, startMinio, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { openLakes } from "./lake.ts";
import { lakeStates } from "./lake_states.ts";
import { maintenanceEngine } from "./maintain_engine.ts";

const { program, skip } = findMinio();
const minio = skip === undefined ? await startMinio(program) : undefined;
await minio?.makeBucket("lake");

const SCHEMA = { table: "todos", version: 1, columns: [{ name: "n", type: "integer" }] } as const;
const ROWS = 400;

const delta = (op: "INSERT" | "UPDATE" | "DELETE", row: number, n: number): Delta =>
  makeDelta({
    op,
    table: "todos",
    rowId: `row ${row}`,
    clientId: "alice",
    columns: op === "DELETE" ? [] : [{ column: "n", value: n }],
    hlc: packHlc({ wallMs: 1_700_000_000_000, counter: n }),
  });

for (const engineName of ["duckdb", "streaming"] as const) {
  for (const deletes of ["rewrite", "positions", "vectors", "equality"] as const) {
    test({
      name: `On S3 the ${engineName} engine folds changes into rows, with ${deletes}`,
      skip,
      timeoutMs: 60_000,
    }, async () => {
      const lakes = unwrapOrThrow(
        await openLakes({
          choice: { url: `s3://lake/${engineName}/${deletes}` },
          directory: (id) => `/tmp/lakesync-nowhere/${id}`,
          env: {
            AWS_ACCESS_KEY_ID: minio!.credentials.accessKeyId,
            AWS_SECRET_ACCESS_KEY: minio!.credentials.secretAccessKey,
            AWS_ENDPOINT_URL: minio!.endpoint,
          },
        }),
      );
      const catalogue = lakes.catalogue("default")!;
      const engine = unwrapOrThrow(await maintenanceEngine(engineName));
      assertEquals(engine.name, engineName);
      let seq = 0;
      const fold = async (deltas: readonly Delta[]): Promise<void> => {
        const from = seq === 0 ? undefined : { epoch: "e", seq };
        const entries = deltas.map((delta) => ({ seq: ++seq, at: 1_700_000_000_000, delta }));
        const outcomes = unwrapOrThrow(
          await lakes.destination("default").write({
            id: `to ${seq}`,
            to: { epoch: "e", seq },
            tables: new Map([["todos", { schema: SCHEMA, from }]]),
            entries: (async function* () {
              yield await Promise.resolve(entries);
            })(),
          }),
        );
        assertEquals(outcomes.get("todos")?.status, "committed");
        const { status } = unwrapOrThrow(
          await compactTable({ catalogue, table: "todos", buckets: 2, deletes, engine }),
        );
        assertEquals(status, "compacted");
      };
      const rows = new Map<string, number>();
      await fold(Array.from({ length: ROWS }, (_, row) => {
        rows.set(`row ${row}`, row);
        return delta("INSERT", row, row);
      }));
      for (const round of [1, 2]) {
        await fold(Array.from({ length: 8 }, (_, i) => {
          const row = 37 * i + 5 * round;
          const n = ROWS * round + i;
          if (i === 0) rows.delete(`row ${row}`);
          else rows.set(`row ${row}`, n);
          return delta(i === 0 ? "DELETE" : "UPDATE", row, n);
        }));
      }
      const scan = unwrapOrThrow(await icebergLake({ catalogue }).scan("todos"));
      const gone = scan.files.some((file) => file.gone !== undefined);
      assertEquals(gone, deletes !== "rewrite", "files stay where they may");
      const analyst = unwrapOrThrow(
        await openAnalyst({
          lake: icebergLake({ catalogue }),
          store: catalogue.store,
          findState: lakeStates(catalogue),
          threads: 1,
        }),
      );
      const answer = unwrapOrThrow(await analyst.query("SELECT id, n FROM todos"));
      await analyst.close();
      const pairs = answer.rows.map(({ id, n }) => [String(id), Number(n)] as const);
      assertEquals(pairs.sort(), [...rows].sort());
    });
  }
}
