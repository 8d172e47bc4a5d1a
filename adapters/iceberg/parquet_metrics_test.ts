import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { compareBytes } from "./bounds.ts";
import { foldedFile } from "./parquet_metrics.ts";

test("bounds of a file that DuckDB wrote hold all its values, bytes and texts with marks too", () =>
  withTempDir(async (dir) => {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const path = join(dir, "x.parquet");
    await connection.run(
      "COPY (SELECT * FROM (VALUES (chr(65279) || 'zz', from_hex('8001')), ('b', from_hex('F0'))) " +
        `t(s, b)) TO '${path}' (FORMAT parquet, FIELD_IDS {s: 1, b: 2})`,
    );
    connection.closeSync();
    instance.closeSync();
    const { metrics, rows } = foldedFile(new Uint8Array(await readFile(path)));
    assertEquals(rows, 2);
    const utf8 = new TextEncoder();
    const values: [number, Uint8Array[]][] = [
      [1, [utf8.encode("\uFEFFzz"), utf8.encode("b")]],
      [2, [new Uint8Array([0x80, 1]), new Uint8Array([0xf0])]],
    ];
    for (const [id, all] of values) {
      const lower = metrics.lowerBounds.get(id);
      const upper = metrics.upperBounds.get(id);
      for (const value of all) {
        assert(lower !== undefined && compareBytes(lower, value) <= 0, `lower bound of ${id}`);
        assert(upper !== undefined && compareBytes(value, upper) <= 0, `upper bound of ${id}`);
      }
    }
  }));
