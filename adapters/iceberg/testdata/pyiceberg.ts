/** Reading tables with PyIceberg. */
import { spawnSync } from "node:child_process";
import process from "node:process";

const PYTHON = process.env.LAKESYNC_PYTHON ?? "python3";

const probe = spawnSync(PYTHON, ["-c", "import pyiceberg, pyarrow"], { encoding: "utf8" });
/** Why tests with PyIceberg are skipped; undefined where they are not. */
export const skipPyIceberg: string | undefined = probe.status === 0
  ? undefined
  : `needs ${PYTHON} with pyiceberg and pyarrow (set LAKESYNC_PYTHON to another one)`;

/** Reads a table whole, each value as a text that holds it exactly. */
const SCRIPT = `
import datetime, json, sys
from pyiceberg.table import StaticTable
epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
def text(value):
    if value is None or isinstance(value, (bool, str)): return value
    if isinstance(value, int): return "int " + str(value)
    if isinstance(value, float): return "float " + value.hex()
    if isinstance(value, bytes): return "hex " + value.hex()
    return "micros " + str((value - epoch) // datetime.timedelta(microseconds=1))
table = StaticTable.from_metadata(sys.argv[1])
scan = table.scan(row_filter=sys.argv[2]) if len(sys.argv) > 2 else table.scan()
rows = scan.to_arrow().to_pylist()
files = [file.file.file_path for file in scan.plan_files()]
print(json.dumps({
    "rows": [{name: text(value) for name, value in row.items()} for row in rows],
    "files": len(files),
    "fields": [[field.field_id, field.name, str(field.field_type)] for field in table.schema().fields],
}))
`;

/** A table as PyIceberg reads it. */
export interface PythonTable {
  readonly rows: readonly { readonly [column: string]: string | boolean | null }[];
  readonly files: number;
  readonly fields: readonly (readonly [number, string, string])[];
}

/** Reads a table's metadata file, and the rows that a filter lets through. */
export function readWithPython(metadata: string, filter?: string): PythonTable {
  const args = ["-c", SCRIPT, metadata, ...(filter === undefined ? [] : [filter])];
  const run = spawnSync(PYTHON, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`${PYTHON} failed: ${run.stderr}`);
  return JSON.parse(run.stdout);
}

/** The same texts for what this package's tests read. */
export function pythonText(value: unknown, type: string): unknown {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return `float ${value}`;
  if (value instanceof Uint8Array) {
    return `hex ${Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }
  return `${type === "timestamptz" ? "micros" : "int"} ${value}`;
}

/** Python's exact text of a float as a number. */
export function fromHexFloat(value: unknown): unknown {
  const match = /^float (-?)0x([01])\.?([0-9a-f]*)p([+-]\d+)$/.exec(String(value));
  if (match === null) return value;
  const [, sign, whole, fraction, exponent] = match;
  const digits = BigInt(`0x${whole}${fraction}`);
  // In two steps, so that no power leaves the range of a double.
  const scale = Number(exponent) - 4 * fraction!.length;
  const half = Math.trunc(scale / 2);
  const size = Number(digits) * 2 ** half * 2 ** (scale - half);
  return `float ${sign === "-" ? -size : size}`;
}
