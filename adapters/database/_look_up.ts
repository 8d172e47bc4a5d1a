import type { RowWrite, SqlParameter, SqlServer, SqlWork } from "@lakesync/core";
import { sql } from "./_sql.ts";
import { parseStateText } from "./_state_text.ts";

/** How many states one statement asks for: a longer list is no longer looked up by the key everywhere. */
const LOOK_UP = 1_000;

/** The rows of a table that have a state, by their keys as the database has them. */
export async function lookUp(
  work: SqlWork,
  options: { server: SqlServer; table: string; keys: readonly SqlParameter[] },
): Promise<RowWrite[]> {
  const texts = await lookUpTexts(work, options);
  return texts.map((text) => parseStateText(text, options.table));
}

/** As {@linkcode lookUp}, the states as they are stored. */
export async function lookUpTexts(
  work: SqlWork,
  options: { server: SqlServer; keys: readonly SqlParameter[] },
): Promise<string[]> {
  const { server: { dialect }, keys } = options;
  const asked: Promise<readonly (readonly (string | null)[])[]>[] = [];
  for (let i = 0; i < keys.length; i += LOOK_UP) {
    const some = dialect.within("row_key", { type: "key", values: keys.slice(i, i + LOOK_UP) });
    asked.push(work.run(sql`SELECT state FROM lakesync_rows WHERE ${some}`));
  }
  const texts: string[] = [];
  for (const rows of await Promise.all(asked)) for (const [text] of rows) texts.push(text!);
  return texts;
}
