import { type Field, type Parameter, type Rows, type Session } from "./engine.ts";
import { define } from "./define.ts";
import { ApiFault, invalidQuery } from "./fault.ts";
import { splitStatements, type Token, tokenise, TokenReader } from "./tokens.ts";
import { quote, translate, TYPES } from "./translate.ts";

type Parameters = ReadonlyMap<string, Parameter>;

/** The most characters of a query, and parameters: https://cloud.google.com/bigquery/quotas#query_jobs */
const MAX_QUERY = 1024 * 1024;
const MAX_PARAMETERS = 10_000;

/** Runs a query, which may be a script, and gives the rows of its last SELECT. */
export async function runScript(
  session: Session,
  query: string,
  parameters: Parameters,
): Promise<Rows | undefined> {
  if (query.length > MAX_QUERY) {
    throw new ApiFault(400, "invalid", "The query is too large. The maximum length is 1024.00K");
  }
  if (parameters.size > MAX_PARAMETERS) throw new ApiFault(400, "invalid", "Too many parameters");
  let rows: Rows | undefined;
  const statements = splitStatements(tokenise(query));
  for (const [i, tokens] of statements.entries()) {
    if (tokens[0]!.word === "DECLARE" && i > 0 && statements[i - 1]![0]!.word !== "DECLARE") {
      throw invalidQuery(
        "Variable declarations are allowed only at the start of a block or script",
      );
    }
    rows = await runStatement(session, tokens, parameters) ?? rows;
  }
  return rows;
}

async function runStatement(
  session: Session,
  tokens: readonly Token[],
  parameters: Parameters,
): Promise<Rows | undefined> {
  const reader = new TokenReader(tokens);
  checkComparisons(session, tokens, parameters);
  if (tokens[0]!.word === "SELECT") {
    return await session.run(translate(tokens), parameters);
  }
  if (reader.accept("BEGIN TRANSACTION")) await session.begin();
  else if (reader.accept("COMMIT TRANSACTION")) await session.commit();
  else if (reader.accept("INSERT INTO")) await insert(session, reader, parameters);
  else if (reader.accept("MERGE INTO")) await merge(session, reader, parameters);
  else if (reader.accept("UPDATE")) {
    const name = reader.name();
    reader.expect("SET");
    const set = assignments(reader, ["WHERE"]);
    const where = whereOf(reader, "UPDATE");
    await checkTypes(session, {
      name,
      columns: set.map(([column]) => column),
      select: `SELECT ${set.map(([, value]) => translate(value))} FROM ${quote(name)}`,
      parameters,
    });
    const texts = set.map(([column, value]) => `${quote(column)} = ${translate(value)}`);
    const text = `UPDATE ${quote(name)} SET ${texts} WHERE ${translate(where)}`;
    await session.change(name, async () => void await session.run(text, parameters));
  } else if (reader.accept("DELETE FROM")) {
    const name = reader.name();
    const where = translate(whereOf(reader, "DELETE"));
    const text = `DELETE FROM ${quote(name)} WHERE ${where}`;
    await session.change(name, async () => void await session.run(text, parameters));
  } else await define(session, reader, parameters);
  return undefined;
}

/** What a column may be compared with: STRING parameters are coerced to times, and to nothing else. */
const COMPARABLE: ReadonlyMap<string, RegExp> = new Map([
  ["STRING", /^(STRING|TIMESTAMP|DATE)$/],
  ["INT64", /^(INTEGER|FLOAT)$/],
  ["FLOAT64", /^(INTEGER|FLOAT)$/],
  ["BOOL", /^BOOLEAN$/],
]);

/** The columns that a query makes itself: `CAST(x AS STRING) AS name`. */
function castFields(tokens: readonly Token[]): Pick<Field, "name" | "type">[] {
  return tokens.flatMap(({ word }, i) => {
    const [type, close, as, name] = tokens.slice(i + 1, i + 5);
    const known = word === "AS" && close?.word === ")" && as?.word === "AS"
      ? TYPES.get(type!.word)
      : undefined;
    return known === undefined || name === undefined ? [] : [{ name: name.text, type: known.api }];
  });
}

/** Refuses a column beside a parameter of another type, which DuckDB would take. */
function checkComparisons(
  session: Session,
  tokens: readonly Token[],
  parameters: Parameters,
): void {
  const fields = [
    ...castFields(tokens),
    ...tokens.flatMap(({ text }) => session.engine.tables.get(text)?.fields ?? []),
  ];
  for (const [i, { kind, text }] of tokens.entries()) {
    const [operator, compared] = [tokens[i + 1]?.word ?? "", tokens[i + 2]];
    if (kind !== "name" && kind !== "quoted" || compared?.kind !== "param") continue;
    if (!/^(=|<|>|<=|>=|!=|<>)$/.test(operator)) continue;
    const field = fields.find(({ name }) => name.toLowerCase() === text.toLowerCase());
    const given = parameters.get(compared.text)?.type ?? "";
    if (field !== undefined && COMPARABLE.get(given)?.test(field.type) !== true) {
      throw invalidQuery(
        `No matching signature for operator ${operator} for argument types: ${field.type}, ${given}`,
      );
    }
  }
}

/** BigQuery asks for a WHERE. */
function whereOf(reader: TokenReader, statement: string): Token[] {
  if (!reader.accept("WHERE")) {
    throw invalidQuery(`${statement} must have a WHERE clause`);
  }
  return reader.until();
}

async function insert(
  session: Session,
  reader: TokenReader,
  parameters: Parameters,
): Promise<void> {
  const name = reader.name();
  const columns = reader.names();
  const table = session.engine.table(name);
  let select = reader.until();
  if (select[0]?.word === "VALUES") select = valuesAsSelect(select);
  const query = translate(select);
  await checkTypes(session, { name, columns, select: query, parameters });
  checkRequired(table.fields, columns);
  await session.run(
    `INSERT INTO ${quote(name)} (${columns.map(quote)}) ${query}`,
    parameters,
  );
}

/** VALUES (…), (…) as a SELECT. */
function valuesAsSelect(tokens: readonly Token[]): Token[] {
  const reader = new TokenReader(tokens);
  const word = (text: string): Token => ({ kind: "name", text, word: text });
  reader.expect("VALUES");
  const out: Token[] = [];
  do {
    reader.expect("(");
    if (out.length > 0) out.push(word("UNION"), word("ALL"));
    out.push(word("SELECT"), ...reader.until(")"));
    reader.expect(")");
  } while (reader.accept(","));
  reader.end();
  return out;
}

async function merge(session: Session, reader: TokenReader, parameters: Parameters): Promise<void> {
  const name = reader.name();
  reader.expect("AS");
  const alias = reader.name();
  reader.expect("USING");
  const source = translate(reader.until("ON"));
  reader.expect("ON");
  const on = translate(reader.until("WHEN"));
  reader.expect("WHEN MATCHED THEN UPDATE SET");
  const set = assignments(reader, ["WHEN"]);
  reader.expect("WHEN NOT MATCHED THEN INSERT");
  const columns = reader.names();
  reader.expect("VALUES (");
  const values: Token[][] = [reader.until(",", ")")];
  while (reader.accept(",")) values.push(reader.until(",", ")"));
  reader.expect(")");
  reader.end();
  const target = `${quote(name)} AS ${quote(alias)}`;
  const from = `FROM ${target}, ${source}`;
  const texts = values.map((value) => translate(value));
  await checkTypes(session, {
    name,
    columns: [...set.map(([column]) => column), ...columns],
    select: `SELECT ${[...set.map(([, value]) => translate(value)), ...texts]} ${from}`,
    parameters,
  });
  checkRequired(session.engine.table(name).fields, columns);
  await session.change(name, async () => {
    const twice = await session.run(
      `SELECT 1 FROM ${target} JOIN ${source} ON ${on} GROUP BY ${
        quote(alias)
      }.rowid HAVING COUNT(*) > 1 LIMIT 1`,
      parameters,
    );
    if (twice.rows.length > 0) {
      throw invalidQuery("UPDATE/MERGE must match at most one source row for each target row");
    }
    const updates = set.map(([column, value]) => `${quote(column)} = ${translate(value)}`);
    await session.run(
      `MERGE INTO ${target} USING ${source} ON ${on} WHEN MATCHED THEN UPDATE SET ${updates} ` +
        `WHEN NOT MATCHED THEN INSERT (${columns.map(quote)}) VALUES (${texts})`,
      parameters,
    );
  });
}

function assignments(
  reader: TokenReader,
  end: readonly string[],
): [column: string, value: Token[]][] {
  const set: [string, Token[]][] = [];
  do {
    const column = reader.name();
    reader.expect("=");
    set.push([column, reader.until(",", ...end)]);
  } while (reader.accept(","));
  return set;
}

/** Values have to be of their columns' types: nothing is coerced but whole numbers to FLOAT64. */
async function checkTypes(
  session: Session,
  options: {
    readonly name: string;
    readonly columns: readonly string[];
    readonly select: string;
    readonly parameters: Parameters;
  },
): Promise<void> {
  const { name, columns, select, parameters } = options;
  const { fields } = session.engine.table(name);
  const { types } = await session.run(`SELECT * FROM (${select}) LIMIT 0`, parameters);
  if (types.length !== columns.length) {
    throw invalidQuery("Inserted row has wrong column count");
  }
  for (const [i, column] of columns.entries()) {
    const field = fields.find((field) => field.name.toLowerCase() === column.toLowerCase());
    if (field === undefined) throw invalidQuery(`Column ${column} is not present in table ${name}`);
    const given = apiType(types[i]!);
    if (
      given !== field.type && given !== "NULL" && !(given === "INTEGER" && field.type === "FLOAT")
    ) {
      throw invalidQuery(
        `Value has type ${given} which cannot be inserted into column ${column}, which has type ${field.type}`,
      );
    }
  }
}

function checkRequired(fields: readonly Field[], columns: readonly string[]): void {
  const given = new Set(columns.map((column) => column.toLowerCase()));
  for (const { name, mode } of fields) {
    if (mode === "REQUIRED" && !given.has(name.toLowerCase())) {
      throw invalidQuery(`Required field ${name} cannot be null`);
    }
  }
}

/** What the API calls a type of DuckDB's. */
export function apiType(duck: string): string {
  if (duck.startsWith("DECIMAL(")) return "NUMERIC";
  if (/^(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/.test(duck)) return "INTEGER";
  if (duck === "SQLNULL" || duck === '"NULL"') return "NULL";
  for (const { duck: own, api } of TYPES.values()) if (own === duck) return api;
  return duck;
}
