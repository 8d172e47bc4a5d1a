import { LakeSyncError } from "./errors.ts";
import { isJsonValue, type JsonValue } from "./json.ts";
import type { TableIndex } from "./parse_delta.ts";
import { err, ok, type Result } from "./result.ts";
import type { RuleBucket, RuleFilter, RuleJoin, RuleOp, Rules } from "./rules.ts";
import { claimPath } from "./rules_claim.ts";
import type { ColumnSchema } from "./schema.ts";
import { valueFault } from "./value.ts";

/** How large rules may be. More would make every push and pull pay for it. */
const MAX_BUCKETS = 256;
const MAX_TABLES = 256;
const MAX_FILTERS = 32;
const MAX_LIST = 1_000;
const MAX_NAME = 128;

const OPS: ReadonlySet<unknown> = new Set<RuleOp>(["eq", "neq", "in", "gt", "lt", "gte", "lte"]);

/** A row's key as filters name it. */
const ID: ColumnSchema = { name: "id", type: "string" };

/** Options of {@linkcode parseRules}. */
export interface ParseRulesOptions {
  /** The gateway's tables: what rules name must be there. */
  readonly tables: ReadonlyMap<string, TableIndex>;
}

/** Thrown within this file only: faults are found deep down. */
class Fault extends Error {
  readonly path: string;

  constructor(path: string, reason: string) {
    super(`${path} ${reason}`);
    this.path = path;
  }
}

/**
 * Reads rules from outside.
 *
 * @param value Anything, say the JSON of a request's body.
 * @param options The tables that they are about.
 * @returns The rules with only the known fields; `VALIDATION_ERROR` that names the path of the fault.
 *
 * @example A fault is named by its path
 * ```ts
 * import { indexTables, parseRules } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const tables = indexTables([{ table: "t", version: 1, columns: [{ name: "n", type: "integer" }] }]);
 * const bucket = { name: "b", tables: ["t"], filters: [{ column: "n", op: "eq", value: "5" }] };
 * const parsed = parseRules({ version: 1, buckets: [bucket] }, { tables });
 * assertEquals(
 *   parsed.ok || parsed.error.message,
 *   'buckets[0].filters[0].value is not an integer in its one form, which column "n" of table "t" needs',
 * );
 * ```
 */
export function parseRules(value: unknown, options: ParseRulesOptions): Result<Rules> {
  try {
    const { version, buckets, write } = fields(value, "rules", ["version", "buckets", "write"]);
    if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 0) {
      throw new Fault("version", "is not a whole number from 0");
    }
    return ok({
      version,
      buckets: parseBuckets(buckets, "buckets", options),
      ...(write !== undefined && { write: parseBuckets(write, "write", options) }),
    });
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    const { message, path } = thrown;
    return err(new LakeSyncError("VALIDATION_ERROR", message, { details: { path } }));
  }
}

function parseBuckets(value: unknown, path: string, options: ParseRulesOptions): RuleBucket[] {
  const names = new Set<string>();
  return list(value, path, MAX_BUCKETS).map((item, i) => {
    const bucket = parseBucket(item, `${path}[${i}]`, options);
    if (names.has(bucket.name)) throw new Fault(`${path}[${i}].name`, "is there already");
    names.add(bucket.name);
    return bucket;
  });
}

function parseBucket(value: unknown, path: string, options: ParseRulesOptions): RuleBucket {
  const { name, tables, filters } = fields(value, path, ["name", "tables", "filters"]);
  const named = typeof name === "string" && name !== "" && name.length <= MAX_NAME &&
    name.isWellFormed();
  if (!named) {
    throw new Fault(`${path}.name`, `is not a well-formed string of 1 to ${MAX_NAME} characters`);
  }
  const covered = list(tables, `${path}.tables`, MAX_TABLES).map((table, i) =>
    knownTable(table, `${path}.tables[${i}]`, options)
  );
  return {
    name,
    tables: [...new Set(covered.map(({ schema }) => schema.table))],
    filters: list(filters, `${path}.filters`, MAX_FILTERS).map((filter, i) => {
      const at = `${path}.filters[${i}]`;
      return typeof filter === "object" && filter !== null && Object.hasOwn(filter, "table")
        ? parseJoin(filter, at, { ...options, covered })
        : parseFilter(filter, at, covered);
    }),
  };
}

function parseFilter(value: unknown, path: string, covered: readonly TableIndex[]): RuleFilter {
  const { column: name, op, value: operand } = fields(value, path, ["column", "op", "value"]);
  if (!OPS.has(op)) throw new Fault(`${path}.op`, `is not one of ${[...OPS].join(", ")}`);
  const columns = covered.map((table) => knownColumn(name, `${path}.column`, table));
  return {
    column: name as string,
    op: op as RuleOp,
    value: parseOperand(operand, `${path}.value`, columns),
  };
}

/** A filter's column in one of the tables that it is for. */
interface Place {
  readonly column: ColumnSchema;
  readonly table: string;
}

function parseOperand(value: unknown, path: string, places: readonly Place[]): JsonValue {
  if (isClaim(value)) {
    if (claimPath(value) === undefined) {
      throw new Fault(path, 'names no claim: write "jwt:" and its name, with dots between levels');
    }
    return value as string;
  }
  if (!Array.isArray(value)) return parseLiteral(value, path, places);
  return list(value, path, MAX_LIST).map((item, i) => {
    if (isClaim(item)) throw new Fault(`${path}[${i}]`, "is a claim: it cannot stand in a list");
    return parseLiteral(item, `${path}[${i}]`, places);
  });
}

function parseLiteral(value: unknown, path: string, places: readonly Place[]): JsonValue {
  if (!isJsonValue(value)) throw new Fault(path, "is missing or not plain JSON");
  // It is of every type, and matches nothing.
  if (value === null) return null;
  for (const { column, table } of places) {
    const fault = valueFault(column, value);
    if (fault !== undefined) {
      throw new Fault(path, `${fault}, which column "${column.name}" of table "${table}" needs`);
    }
  }
  return value === 0 ? 0 : value; // −0 is 0
}

function isClaim(value: unknown): boolean {
  return typeof value === "string" && value.startsWith("jwt:");
}

function parseJoin(
  value: object,
  path: string,
  options: ParseRulesOptions & { covered: readonly TableIndex[] },
): RuleJoin {
  const { column: name, op, table, select, where } = fields(value, path, [
    "column",
    "op",
    "table",
    "select",
    "where",
  ]);
  if (op !== "in") throw new Fault(`${path}.op`, 'is not "in", as it must be with a table');
  const other = knownTable(table, `${path}.table`, options);
  const selected = knownColumn(select, `${path}.select`, other).column;
  for (const covered of options.covered) {
    const { column } = knownColumn(name, `${path}.column`, covered);
    if (column.type !== selected.type) {
      throw new Fault(
        `${path}.select`,
        `is ${selected.type}, but column "${column.name}" of table "${covered.schema.table}" is ${column.type}`,
      );
    }
  }
  return {
    column: name as string,
    op: "in",
    table: other.schema.table,
    select: selected.name,
    where: list(where, `${path}.where`, MAX_FILTERS).map((filter, i) =>
      parseFilter(filter, `${path}.where[${i}]`, [other])
    ),
  };
}

function knownTable(name: unknown, path: string, options: ParseRulesOptions): TableIndex {
  const table = typeof name === "string" ? options.tables.get(name) : undefined;
  if (table === undefined) {
    throw new Fault(path, "is not the name of a table: put its schema first");
  }
  return table;
}

function knownColumn(name: unknown, path: string, { schema, columns }: TableIndex): Place {
  const column = name === "id" ? ID : typeof name === "string" ? columns.get(name) : undefined;
  if (column !== undefined) return { column, table: schema.table };
  throw new Fault(path, `is not a column of table "${schema.table}"`);
}

function list(value: unknown, path: string, most: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new Fault(path, "is not a list");
  if (value.length > most) throw new Fault(path, `has ${value.length} items: at most ${most} go`);
  return value;
}

/** The fields of an object that has no others: a misspelt one must not go unnoticed. */
function fields<Name extends string>(
  value: unknown,
  path: string,
  names: readonly Name[],
): { readonly [name in Name]?: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Fault(path, "is not an object");
  }
  const known: ReadonlySet<string> = new Set(names);
  const stranger = Object.keys(value).find((key) => !known.has(key));
  if (stranger !== undefined) {
    throw new Fault(path, `has an unknown field ${JSON.stringify(stranger.slice(0, 64))}`);
  }
  return value;
}
