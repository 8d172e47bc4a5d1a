import { readFileSync } from "node:fs";
import { assertEquals } from "@std/assert";
import { test } from "../test.ts";
import { PLANTS } from "./plants.ts";

test("every bug can still be planted: each of its texts stands in its file once", () => {
  for (const { bug, edits } of PLANTS) {
    for (const { file, find } of edits) {
      const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
      assertEquals({ bug, file, times: text.split(find).length - 1 }, { bug, file, times: 1 });
    }
  }
});
