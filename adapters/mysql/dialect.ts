import { Buffer } from "node:buffer";
import {
  DIGEST_BUCKETS,
  type JsonValue,
  type SqlColumn,
  type SqlColumnType,
  type SqlDialect,
  type SqlParameter,
  type SqlStatement,
  type SqlWrite,
} from "@lakesync/core";

/** What servers differ in, found when one is connected to. */
export interface MysqlFacts {
  /** Whether it lets clients load data of their own: several times as fast as any INSERT. */
  localInfile: boolean;
  /** The most bytes of a statement. */
  maxPacket: number;
  /** A collation that tells any two texts apart, also by trailing spaces. */
  collation: string;
}

/** MariaDB reads JSON only so deep. */
const MAX_JSON_DEPTH = 30;
/** The most rows of an INSERT. */
const INSERT_ROWS = 1_000;

/** A load of a file, and the file. */
export interface LoadStatement extends SqlStatement {
  /** The lines, some at a time. */
  readonly lines: readonly Uint8Array[];
}

/** A load of rows of which some may be there. */
export interface NewRowsStatement extends LoadStatement {
  /** How many rows it has. A load leaves those out that are there, and warns of each. */
  readonly newRows: number;
}

interface MysqlColumn extends SqlColumn {
  /** A parameter as a value of the column. */
  decoded(parameter: string): string;
}

const asIs = (value: JsonValue): SqlParameter => value as string | number;

function column(
  sql: string,
  described: RegExp,
  encode: (value: JsonValue) => SqlParameter | undefined = asIs,
  decoded: (parameter: string) => string = (parameter) => parameter,
): MysqlColumn {
  return { sql, accepts: (found) => described.test(found), encode, decoded };
}

/** DATETIME has no time zone: what is in it is UTC. It begins in the year 1000. */
function encodeTimestamp(value: JsonValue): string | undefined {
  const text = value as string;
  return text < "1000" ? undefined : `${text.slice(0, 10)} ${text.slice(11, 26)}`;
}

function depth(value: JsonValue): number {
  if (typeof value !== "object" || value === null) return 0;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depth(item));
  return deepest + 1;
}

const UTF8 = "CHARACTER SET utf8mb4 COLLATE";

/** The SQL of MySQL and MariaDB. */
export function mysqlDialect(facts: MysqlFacts): SqlDialect {
  const quote = (name: string) => `\`${name.replaceAll("`", "``")}\``;
  const columns: Readonly<Record<Exclude<SqlColumnType, "id">, MysqlColumn>> = {
    string: column(`LONGTEXT ${UTF8} utf8mb4_bin`, /^longtext/),
    number: column("DOUBLE", /^double/),
    integer: column("BIGINT", /^bigint(\(20\))?$/),
    boolean: column("BOOLEAN", /^tinyint\(1\)$/, (value) => value === true ? 1 : 0),
    timestamp: column("DATETIME(6)", /^datetime\(6\)$/, encodeTimestamp),
    bytes: column("LONGBLOB", /^longblob$/, asIs, (text) => `FROM_BASE64(${text})`),
    json: column(
      "JSON",
      /^(json|longtext)$/,
      (value) => depth(value) > MAX_JSON_DEPTH ? undefined : JSON.stringify(value),
    ),
    key: column("VARBINARY(320)", /^varbinary\(320\)$/),
    name: column("VARBINARY(255)", /^varbinary\(255\)$/),
    text: column(`LONGTEXT ${UTF8} utf8mb4_bin`, /^longtext$/),
  };
  const of = (type: SqlColumnType): MysqlColumn =>
    type === "id"
      ? column(`VARCHAR(256) ${UTF8} ${facts.collation}`, /^varchar\(256\)$/)
      : columns[type];
  return {
    quote,
    column: of,
    write: (write) => facts.localInfile ? [load(write)] : insert(write),
    get writeNew() {
      if (!facts.localInfile) return undefined;
      return (write: SqlWrite): NewRowsStatement => ({
        ...load({ ...write, key: 0 }),
        newRows: write.rows.length,
      });
    },
    within: (column, { values }) => ({
      text: `${column} IN (${values.map(() => "?").join(", ")})`,
      parameters: values,
    }),
    digest({ key, columns }) {
      const row = columns.map((column) => `QUOTE(${column})`).join(", ");
      return {
        bucket: `(CRC32(${key}) & ${DIGEST_BUCKETS - 1})`,
        hash: `CAST(CONV(LEFT(MD5(CONCAT(${row})), 15), 16, 10) AS UNSIGNED)`,
      };
    },
  };

  function load({ table, columns, key = 0, rows }: SqlWrite): LoadStatement {
    const names: string[] = [];
    const set: string[] = [];
    for (const [i, { name, type }] of columns.entries()) {
      const decoded = of(type).decoded(`@c${i}`);
      names.push(decoded === `@c${i}` ? quote(name) : `@c${i}`);
      if (decoded !== `@c${i}`) set.push(`${quote(name)} = ${decoded}`);
    }
    const replace = key === 0 ? "" : "REPLACE ";
    // As bytes, which takes a tenth less: texts are checked when they are stored. But MySQL makes no JSON
    // of bytes.
    const charset = columns.some(({ type }) => type === "json") ? "utf8mb4" : "binary";
    return {
      text: `LOAD DATA LOCAL INFILE 'rows' ${replace}INTO TABLE ${quote(table)} ` +
        `CHARACTER SET ${charset} FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' ` +
        `LINES TERMINATED BY '\\n' (${names.join(", ")})` +
        (set.length === 0 ? "" : ` SET ${set.join(", ")}`),
      parameters: [],
      lines: linesOf(rows),
    };
  }

  function* insert({ table, columns, key = 0, rows }: SqlWrite): Iterable<SqlStatement> {
    const names = columns.map(({ name }) => quote(name));
    const values = `(${columns.map(({ type }) => of(type).decoded("?")).join(", ")})`;
    const set = names.slice(key).map((name) => `${name} = VALUES(${name})`);
    const conflict = key === 0 ? "" : ` ON DUPLICATE KEY UPDATE ${set.join(", ")}`;
    const statement = (part: readonly (readonly SqlParameter[])[]): SqlStatement => ({
      text: `INSERT INTO ${quote(table)} (${names.join(", ")}) VALUES ` +
        part.map(() => values).join(", ") + conflict,
      parameters: part.flat(),
    });
    let part: (readonly SqlParameter[])[] = [];
    let bytes = 0;
    for (const row of rows) {
      // A character has at most 3 bytes of UTF-8, and escaping doubles one byte.
      let size = 0;
      for (const value of row) size += 3 * String(value).length + 20;
      if (part.length >= INSERT_ROWS || (part.length > 0 && bytes + size > facts.maxPacket / 2)) {
        yield statement(part);
        part = [];
        bytes = 0;
      }
      part.push(row);
      bytes += size;
    }
    if (part.length > 0) yield statement(part);
  }
}

/** About how many characters are encoded at once. */
const SOME = 32 * 1024;

/** Rows as the lines of a file that is loaded. */
function linesOf(rows: readonly (readonly SqlParameter[])[]): Buffer[] {
  const lines: Buffer[] = [];
  let text = "";
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const value = row[i]!;
      if (i > 0) text += "\t";
      if (value === null) text += "\\N";
      else text += typeof value === "number" ? value : escapeField(value);
    }
    text += "\n";
    // Early: the pieces of a long text are many objects, and would outlive the collector's first look.
    if (text.length < SOME) continue;
    lines.push(Buffer.from(text));
    text = "";
  }
  if (text !== "") lines.push(Buffer.from(text));
  return lines;
}

function escapeField(text: string): string {
  const escaped = text.replace(
    /[\\\t\n]/g,
    (char) => char === "\t" ? "\\t" : char === "\n" ? "\\n" : "\\\\",
  );
  return escaped.includes("\0") ? escaped.replaceAll("\0", "\\0") : escaped;
}
