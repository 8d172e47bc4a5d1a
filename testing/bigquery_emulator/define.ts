import { checkColumn, columnsText, type Field, type Parameter, type Session } from "./engine.ts";
import { ApiFault, invalidQuery } from "./fault.ts";
import type { TokenReader } from "./tokens.ts";
import { quote, translate, TYPES } from "./translate.ts";

type Parameters = ReadonlyMap<string, Parameter>;

/** CREATE, ALTER and DROP. */
export async function define(
  session: Session,
  reader: TokenReader,
  parameters: Parameters,
): Promise<void> {
  const statement = reader.peek();
  if (!/^(CREATE|ALTER|DROP)$/.test(statement)) {
    throw invalidQuery(`Syntax error: Unexpected "${statement}"`);
  }
  if (session.within) {
    throw invalidQuery("Transaction control statement: DDL is only supported on temporary tables");
  }
  const { engine } = session;
  const duck = (type: string) => [...TYPES.values()].find(({ api }) => api === type)!.duck;
  if (reader.accept("CREATE TABLE")) {
    const lenient = reader.accept("IF NOT EXISTS");
    const name = reader.name();
    const fields = readFields(reader);
    if (reader.accept("CLUSTER BY")) {
      const clustered = [reader.name()];
      while (reader.accept(",")) clustered.push(reader.name());
      const known = new Set(fields.map((field) => field.name));
      if (clustered.length > 4 || !clustered.every((column) => known.has(column))) {
        throw invalidQuery("Invalid CLUSTER BY");
      }
    }
    const select = reader.accept("AS") ? translate(reader.until()) : undefined;
    reader.end();
    // With its rows, in one step: nobody sees it before it has them.
    await engine.alone(async () => {
      if (lenient && engine.tables.has(name)) return;
      engine.check(name, fields);
      await session.run(`CREATE TABLE ${quote(name)} (${columnsText(fields, duck)})`, parameters);
      if (select !== undefined) {
        await session.run(`INSERT INTO ${quote(name)} ${select}`, parameters);
      }
      engine.add(name, fields);
    });
    return;
  }
  if (reader.accept("DROP TABLE")) {
    const name = reader.name();
    reader.end();
    engine.table(name);
    await session.run(`DROP TABLE ${quote(name)}`, parameters);
    engine.tables.delete(name);
    return;
  }
  reader.expect("ALTER TABLE");
  const name = reader.name();
  const table = engine.table(name);
  if (reader.accept("DROP COLUMN")) {
    const column = reader.name();
    reader.end();
    await session.run(`ALTER TABLE ${quote(name)} DROP COLUMN ${quote(column)}`, parameters);
    table.fields = table.fields.filter((field) => field.name !== column);
    return;
  }
  reader.expect("ADD COLUMN");
  const field = readField(reader);
  reader.end();
  if (field.mode === "REQUIRED") {
    throw new ApiFault(
      400,
      "invalid",
      `Cannot add required fields to an existing schema. (field: ${field.name})`,
    );
  }
  checkColumn(field.name);
  await session.run(
    `ALTER TABLE ${quote(name)} ADD COLUMN ${quote(field.name)} ${duck(field.type)}`,
    parameters,
  );
  table.fields = [...table.fields, field];
}

function readFields(reader: TokenReader): Field[] {
  reader.expect("(");
  const fields: Field[] = [];
  do {
    if (reader.accept("PRIMARY KEY")) {
      reader.names();
      if (!reader.accept("NOT ENFORCED")) {
        throw invalidQuery("PRIMARY KEY constraints must be specified as NOT ENFORCED");
      }
    } else fields.push(readField(reader));
  } while (reader.accept(","));
  reader.expect(")");
  return fields;
}

function readField(reader: TokenReader): Field {
  const name = reader.name();
  const type = reader.name();
  const known = TYPES.get(type.toUpperCase());
  if (known === undefined) throw invalidQuery(`Type not found: ${type}`);
  return { name, type: known.api, mode: reader.accept("NOT NULL") ? "REQUIRED" : "NULLABLE" };
}
