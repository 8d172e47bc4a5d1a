import { icebergDestination, restCatalogue } from "@lakesync/adapter-iceberg";
import { s3ObjectStore } from "@lakesync/adapter-s3";
import { findCatalogue, findMinio, startMinio, startNessie, test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { writeAllTypes } from "./_all_types.ts";
import { needsPython, runPython } from "./_python.ts";

const minio = findMinio();
const skip = needsPython("pyiceberg") ?? findCatalogue("nessie") ?? minio.skip;

const SCRIPT = `
import datetime, json, sys
from pyiceberg.catalog.rest import RestCatalog
uri, endpoint, key, secret = sys.argv[1:]
catalog = RestCatalog("lake", uri=uri, warehouse="warehouse", **{
  "s3.endpoint": endpoint, "s3.access-key-id": key, "s3.secret-access-key": secret,
  "s3.region": "us-east-1", "header.X-Iceberg-Access-Delegation": ""})
rows = catalog.load_table(("up", "interop", "all_changes")).scan().to_arrow().to_pylist()
epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
def printed(row):
    i, t, x = row["i"], row["t"], row["x"]
    return [row["_seq"], row["id"], row["_columns"], row["s"], row["d"],
      None if i is None else str(i), row["b"],
      None if t is None else str((t - epoch) // datetime.timedelta(microseconds=1)),
      None if x is None else x.hex().upper(), row["j"]]
print(json.dumps([printed(row) for row in sorted(rows, key=lambda row: row["_seq"])]))
`;

test(
  { name: "PyIceberg reads every value of a lake in Nessie and S3", skip, timeoutMs: 180_000 },
  async () => {
    // Backoff alone keeps no process alive.
    const alive = setInterval(() => {}, 1_000);
    const { endpoint, credentials, makeBucket } = await startMinio(minio.program);
    await makeBucket("lake");
    const { url } = await startNessie({ endpoint, credentials, bucket: "lake" });
    const catalogue = restCatalogue({
      url,
      warehouse: "warehouse",
      namespace: ["up", "interop"],
      openStore({ location }) {
        const [bucket = "", ...prefix] = location.slice("s3://".length).split("/");
        return s3ObjectStore({ bucket, prefix: prefix.join("/"), endpoint, credentials });
      },
    });
    const expected = await writeAllTypes(icebergDestination({ catalogue }));
    const { accessKeyId, secretAccessKey } = credentials;
    assertEquals(runPython(SCRIPT, [url, endpoint, accessKeyId, secretAccessKey]), expected);
    clearInterval(alive);
  },
);
