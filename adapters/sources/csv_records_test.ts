import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { LakeSyncError } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { type CsvRecord, csvRecords, type CsvRecordsOptions } from "./mod.ts";

async function read(path: string, options?: CsvRecordsOptions): Promise<CsvRecord[]> {
  const records: CsvRecord[] = [];
  for await (const record of csvRecords(path, options)()) records.push(record);
  return records;
}

test("csvRecords() reads back any texts that were quoted as RFC 4180 says", () =>
  withTempDir(async (directory) => {
    const path = join(directory, "any.csv");
    const quote = (field: string) => `"${field.replaceAll('"', '""')}"`;
    const field = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", " ", "é", "😀") });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(field, field), { maxLength: 5 }), async (lines) => {
        const text = [["__proto__", "b"], ...lines].map((line) => line.map(quote).join(","));
        await writeFile(path, text.join("\r\n"));
        const records = await read(path);
        assertEquals(records.map((record) => [record["__proto__"], record["b"]]), lines);
      }),
      { seed: 42, numRuns: 100 },
    );
  }));

test("csvRecords() takes a byte order mark, another delimiter and an empty file", () =>
  withTempDir(async (directory) => {
    const path = join(directory, "some.csv");
    await writeFile(path, "\ufeffa;b\n1;\n");
    assertEquals(await read(path, { delimiter: ";" }), [{ a: "1", b: "" }]);
    await writeFile(path, "");
    assertEquals(await read(path), []);
  }));

test("csvRecords() reads the 3,376 airports", async () => {
  const path = fileURLToPath(
    new URL("../data/airports.csv", import.meta.resolve("vega-datasets")),
  );
  const records = await read(path);
  assertEquals(records.length, 3376);
  assertEquals(records[0], {
    iata: "00M",
    name: "Thigpen",
    city: "Bay Springs",
    state: "MS",
    country: "USA",
    latitude: "31.95376472",
    longitude: "-89.23450472",
  });
  const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
  assertEquals(records.at(-1)?.["iata"], lines.at(-1)?.split(",")[0]);
});

test("csvRecords() names what is wrong with a file", () =>
  withTempDir(async (directory) => {
    const path = join(directory, "some.csv");
    const faults = ["a,b\n1,2\n3", 'a,b\n1,"2', 'a,b\n1,x"2"', "a,b,a\n1,2,3"];
    for (const content of faults) {
      await writeFile(path, content);
      const error = await assertRejects(() => read(path), LakeSyncError, "some.csv", content);
      assertEquals(error.code, "CORRUPT", content);
    }
    const missing = await assertRejects(() => read(join(directory, "none")), LakeSyncError);
    assertEquals(missing.code, "NOT_FOUND");
  }));
