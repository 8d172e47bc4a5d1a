import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { LakeSyncError } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { splitJsonArray } from "./_json_split.ts";
import { jsonRecords } from "./mod.ts";

async function read(path: string): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of jsonRecords(path)()) items.push(item);
  return items;
}

test("splitJsonArray() gives the items of any array, wherever its text is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 6 }),
      fc.constantFrom(undefined, 1, "\t"),
      fc.integer({ min: 1, max: 7 }),
      async (items, space, size) => {
        const text = ` \n${JSON.stringify(items, null, space)}\r\n`;
        async function* chunks() {
          for (let i = 0; i < text.length; i += size) {
            yield await Promise.resolve(text.slice(i, i + size));
          }
        }
        const parsed: unknown[] = [];
        for await (const texts of splitJsonArray(chunks())) {
          parsed.push(...texts.map((item): unknown => JSON.parse(item)));
        }
        assertEquals(parsed, JSON.parse(text));
      },
    ),
    { seed: 42, numRuns: 500 },
  );
});

test("jsonRecords() reads a file larger than a chunk, twice alike", () =>
  withTempDir(async (directory) => {
    const path = join(directory, "items.json");
    const items = Array.from({ length: 20_000 }, (_, i) => ({ i, text: `é😀 "${i}" ]},` }));
    await writeFile(path, JSON.stringify(items));
    const records = jsonRecords(path);
    for (let round = 0; round < 2; round++) {
      let i = 0;
      for await (const item of records()) assertEquals(item, items[i++]);
      assertEquals(i, items.length);
    }
  }));

test("jsonRecords() names what is wrong with a file", () =>
  withTempDir(async (directory) => {
    const path = join(directory, "items.json");
    const faults: (readonly [content: string | Uint8Array, part: string])[] = [
      ["", "it ends before its ]"],
      ["[1, 2", "it ends before its ]"],
      ["[1, 2]]", "there is more behind its end"],
      ['{"a": []}', "it does not begin with ["],
      ["[1,,2]", "after item 1"],
      ["[1,]", "after item 1"],
      ["[,1]", "after item 0"],
      ["[1 2]", "after item 0"],
      ['["a]', "it ends before its ]"],
      [new Uint8Array([0x5b, 0x22, 0xff, 0x22, 0x5d]), "not a JSON array"],
    ];
    for (const [content, part] of faults) {
      await writeFile(path, content);
      const error = await assertRejects(() => read(path), LakeSyncError, part, String(content));
      assertEquals(error.code, "CORRUPT");
    }
    const missing = await assertRejects(() => read(join(directory, "none")), LakeSyncError);
    assertEquals(missing.code, "NOT_FOUND");
    const folder = await assertRejects(() => read(directory), LakeSyncError);
    assertEquals(folder.code, "STORAGE_ERROR");
  }));
