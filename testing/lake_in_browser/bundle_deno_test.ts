import { bundle, test } from "@lakesync/testing";
import { assert } from "@std/assert";

test("an app that does not ask a lake gets nothing of DuckDB, Arrow or Parquet", async () => {
  const [client, analyst] = await Promise.all(
    ["client/mod.ts", "analyst/mod_browser.ts"].map((entry) => bundle(entry, { minify: true })),
  );
  for (const part of ["duckdb", "arrow", "parquet"]) {
    assert(!client!.toLowerCase().includes(part), `the client has ${part}`);
    assert(analyst!.toLowerCase().includes(part), `the analyst has no ${part}`);
  }
  assert(!/(from|import\()"node:/.test(analyst!), "the analyst asks for a module of Node's");
});
