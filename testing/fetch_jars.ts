/**
 * Fetches the Java programs that tests run against from Maven Central, where they are not there yet:
 * `deno run -A testing/fetch_jars.ts [iceberg-rest] [nessie] [spark]`, by default all.
 *
 * @module
 */
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { JARS } from "./rest_catalogue.ts";

const MAVEN = process.env.LAKESYNC_MAVEN ?? "https://repo1.maven.org/maven2";
const ICEBERG = "1.11.0";
const JETTY = "12.1.5";
const JACKSON = "2.19.2";

/** group:artifact:version[:classifier] */
const ICEBERG_REST: readonly string[] = [
  ...["core", "api", "common", "bundled-guava"].map((name) =>
    `org.apache.iceberg:iceberg-${name}:${ICEBERG}`
  ),
  `org.apache.iceberg:iceberg-core:${ICEBERG}:tests`,
  `org.apache.iceberg:iceberg-open-api:${ICEBERG}:test-fixtures`,
  ...["server", "http", "io", "util", "session", "security"].map((name) =>
    `org.eclipse.jetty:jetty-${name}:${JETTY}`
  ),
  `org.eclipse.jetty.ee10:jetty-ee10-servlet:${JETTY}`,
  ...["server", "common", "gzip"].map((name) =>
    `org.eclipse.jetty.compression:jetty-compression-${name}:${JETTY}`
  ),
  "jakarta.servlet:jakarta.servlet-api:6.0.0",
  ...["core", "databind"].map((name) => `com.fasterxml.jackson.core:jackson-${name}:${JACKSON}`),
  `com.fasterxml.jackson.core:jackson-annotations:${JACKSON}`,
  "org.apache.avro:avro:1.12.0",
  "org.apache.httpcomponents.client5:httpclient5:5.5",
  "org.apache.httpcomponents.core5:httpcore5:5.3.4",
  "org.apache.httpcomponents.core5:httpcore5-h2:5.3.4",
  "com.github.ben-manes.caffeine:caffeine:2.9.3",
  "org.roaringbitmap:RoaringBitmap:1.3.0",
  "io.airlift:aircompressor:0.27",
  "org.slf4j:slf4j-api:2.0.17",
  "org.xerial:sqlite-jdbc:3.50.3.0",
  "org.apache.hadoop:hadoop-client-api:3.4.1",
  "org.apache.hadoop:hadoop-client-runtime:3.4.1",
  "commons-logging:commons-logging:1.2",
];

const NESSIE = "org.projectnessie.nessie:nessie-quarkus:0.99.0:runner";
const SPARK = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.1";

function urlOf(coordinates: string): string {
  const [group = "", artifact, version, classifier] = coordinates.split(":");
  const name = `${artifact}-${version}${classifier === undefined ? "" : `-${classifier}`}.jar`;
  return `${MAVEN}/${group.replaceAll(".", "/")}/${artifact}/${version}/${name}`;
}

async function fetchTo(url: string, path: string): Promise<void> {
  const answer = await fetch(url);
  if (!answer.ok || answer.body === null) throw new Error(`${url}: ${answer.status}`);
  await pipeline(Readable.fromWeb(answer.body as ReadableStream), createWriteStream(path));
}

/** Fills a folder, which is there only when it is whole. */
async function fill(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const target = join(JARS, folder);
  if (existsSync(target)) return;
  const partial = `${target}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    await Promise.all(Array.from(files, ([name, url]) => fetchTo(url, join(partial, name))));
    renameSync(partial, target);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

const wanted = process.argv.slice(2);
if (wanted.length === 0 || wanted.includes("iceberg-rest")) {
  const urls = ICEBERG_REST.map(urlOf);
  await fill("iceberg-rest", new Map(urls.map((url) => [url.split("/").at(-1)!, url])));
}
if (wanted.length === 0 || wanted.includes("nessie")) {
  await fill("nessie", new Map([["nessie.jar", urlOf(NESSIE)]]));
}
if (wanted.length === 0 || wanted.includes("spark")) {
  await fill("spark", new Map([["iceberg-spark.jar", urlOf(SPARK)]]));
}
