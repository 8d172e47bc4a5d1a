import { icebergDestination } from "@lakesync/adapter-iceberg";
import { fileObjectStore, findMinio, startMinio, test, withTempDir } from "@lakesync/testing";
import { s3ObjectStore } from "@lakesync/adapter-s3";
import { assertEquals } from "@std/assert";
import { writeAllTypes } from "./_all_types.ts";
import { needsPython, runPython } from "./_python.ts";

const skip = needsPython("chdb");

const SCRIPT = `
import chdb, json, sys
result = chdb.query(f"""SELECT _seq, id, _columns, s, d, toString(i), b,
  toString(toUnixTimestamp64Micro(t)), hex(x), j FROM {sys.argv[1]} ORDER BY _seq
  SETTINGS output_format_json_quote_64bit_integers = 0""", "JSONCompactEachRow")
print(json.dumps([json.loads(line) for line in str(result).strip().split("\\n")]))
`;

test(
  { name: "ClickHouse reads every value of a lake in files", skip, timeoutMs: 120_000 },
  () =>
    withTempDir(async (directory) => {
      const expected = await writeAllTypes(
        icebergDestination({ store: fileObjectStore({ directory }) }),
      );
      // It opens nothing outside of where it works.
      const cwd = directory;
      assertEquals(runPython(SCRIPT, [`icebergLocal('${cwd}/all_changes')`], { cwd }), expected);
    }),
);

const minio = findMinio();
test(
  {
    name: "ClickHouse reads every value of a lake in S3",
    skip: skip ?? minio.skip,
    timeoutMs: 120_000,
  },
  async () => {
    const { endpoint, credentials, makeBucket } = await startMinio(minio.program);
    await makeBucket("lake");
    const store = s3ObjectStore({ bucket: "lake", prefix: "a/b", endpoint, credentials });
    const expected = await writeAllTypes(icebergDestination({ store }));
    const { accessKeyId, secretAccessKey } = credentials;
    const table =
      `icebergS3('${endpoint}/lake/a/b/all_changes', '${accessKeyId}', '${secretAccessKey}')`;
    assertEquals(runPython(SCRIPT, [table]), expected);
  },
);
