import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { icebergDestination, restCatalogue } from "@lakesync/adapter-iceberg";
import { fileObjectStore, findCatalogue, JARS, startIcebergRest, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { writeAllTypes } from "./_all_types.ts";
import { needsPython, runPython } from "./_python.ts";

const jars = join(JARS, "spark");
const skip = needsPython("pyspark") ?? findCatalogue("iceberg-rest") ??
  (existsSync(jars) ? undefined : `needs ${jars} (deno run -A testing/fetch_jars.ts)`);

const SCRIPT = `
import json, sys
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[2]")
  .config("spark.jars", sys.argv[1])
  .config("spark.ui.enabled", "false")
  .config("spark.driver.memory", "700m")
  .config("spark.sql.session.timeZone", "UTC")
  .config("spark.sql.shuffle.partitions", "2")
  .config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
  .config("spark.sql.catalog.lake.type", "rest")
  .config("spark.sql.catalog.lake.uri", sys.argv[2])
  .getOrCreate())
rows = spark.sql("""SELECT _seq, id, _columns, s, d, CAST(i AS STRING), b,
  CAST(unix_micros(t) AS STRING), hex(x), j FROM lake.interop.all_changes ORDER BY _seq""").collect()
one = spark.sql("SELECT count(*) FROM lake.interop.all_changes WHERE id = 'r7' AND _seq > 200").collect()
print(json.dumps([[list(row) for row in rows], one[0][0]]))
spark.stop()
`;

test(
  { name: "Spark reads every value of a lake through a REST catalogue", skip, timeoutMs: 240_000 },
  async () => {
    const { url } = await startIcebergRest();
    const catalogue = restCatalogue({
      url,
      namespace: ["interop"],
      openStore: ({ location }) => fileObjectStore({ directory: fileURLToPath(location) }),
    });
    const expected = await writeAllTypes(icebergDestination({ catalogue }));
    const java = process.env.LAKESYNC_JAVA;
    const env = java === undefined ? {} : { JAVA_HOME: dirname(dirname(java)) };
    const [rows, one] = runPython(SCRIPT, [
      join(jars, "iceberg-spark.jar"),
      url,
    ], { env }) as readonly [unknown, number];
    assertEquals(rows, expected);
    assertEquals(one, expected.filter(([seq, id]) => Number(seq) > 200 && id === "r7").length);
  },
);
