import process from "node:process";
import { type Delta, unwrapOrThrow } from "@lakesync/core";
import { findCatalogue, startIcebergRest, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { maintainLake } from "./maintain.ts";
import { SEQ_PROPERTY } from "./metadata.ts";
import { branchSnapshot, MAIN_BRANCH } from "./state_commit.ts";
import { HIDDEN_BRANCH } from "./state_schema.ts";
import { readSeqs } from "./testdata/lake_rows.ts";
import { catalogueAt, metadataOf } from "./testdata/rest_lake.ts";
import { flushDeltas, manyRows, oracle, readState, visible } from "./testdata/state_rows.ts";

const skip = findCatalogue("iceberg-rest");

/** With the third the table becomes one of format version 3. */
const FORMS = ["positions", "rewrite", "vectors", "equality", "positions"] as const;

test({
  name: "Apache's REST catalogue takes both branches of the rows at once, and all of upkeep",
  skip,
}, async () => {
  const server = await startIcebergRest();
  const catalogue = catalogueAt(server.url, `upkeep${process.pid}`);
  const all: Delta[] = manyRows(400);
  await flushDeltas(catalogue, all, { after: 0 });
  for (let round = 0; round < 9; round++) {
    const changes = manyRows(2).map((delta, i): Delta => ({
      ...delta,
      op: i === 0 ? "DELETE" : "UPDATE",
      hlc: String(10 + round),
      rowId: `row ${round + i}`,
      columns: i === 0 ? [] : [{ column: "s", value: `round ${round}` }],
    }));
    await flushDeltas(catalogue, changes, { after: all.length });
    all.push(...changes);
    const deletes = FORMS[round % FORMS.length]!;
    const options = { catalogue, deletes, minSnapshots: 2, maxSnapshots: 3 } as const;
    const { steps } = unwrapOrThrow(await maintainLake(options));
    assertEquals(steps.filter(({ step }) => step === "failed"), []);
    assertEquals(await readState(catalogue, "all"), visible(oracle(all)));
  }
  assertEquals((await readSeqs(catalogue, "all_changes")).length, all.length);
  const metadata = await metadataOf(catalogue, "all");
  assertEquals(metadata["format-version"], 3);
  const marks = [MAIN_BRANCH, HIDDEN_BRANCH].map((branch) =>
    branchSnapshot(metadata, branch)?.summary[SEQ_PROPERTY]
  );
  assertEquals(marks, [String(all.length), String(all.length)]);
  assertEquals(metadata.snapshots.length, 6);
});
