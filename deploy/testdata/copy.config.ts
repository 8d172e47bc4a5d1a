/** A flow that is copied, of records that are there at once, into a lake in files: `COPY_LAKE`. */
import process from "node:process";
import { defineTable, integer, ok } from "@lakesync/core";
import { defineLake, iceberg, type LakeConfig, type OpenSource } from "@lakesync/deploy";

/** How many records there are. */
export const RECORDS = 60_000;
const BATCH = 1_000;

const numbers = defineTable("numbers", { n: integer() });

const source: OpenSource = {
  name: "counted",
  async *read({ cursor = "0" }) {
    for (let at = Number(cursor); at < RECORDS; at += BATCH) {
      const changes = Array.from({ length: BATCH }, (_, i) => ({
        op: "upsert" as const,
        table: "numbers",
        rowId: `r${at + i}`,
        columns: new Map([["n", at + i]]),
      }));
      yield await Promise.resolve(ok({ changes, cursor: String(at + BATCH) }));
    }
  },
};

const config: LakeConfig = defineLake({
  tables: [numbers],
  sources: { counted: source },
  destinations: {
    other: iceberg({ directory: process.env["COPY_LAKE"]! }),
  },
  flows: [{ from: "counted.numbers", to: ["other"], copy: { commitRecords: 2_000 } }],
});
export default config;
