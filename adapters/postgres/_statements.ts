import type { SqlResultRow, SqlStatement, SqlWork } from "@lakesync/core";
import { CopyIn, type CopyNewStatement, type CopyStatement } from "./_copy.ts";
import type { PgClient } from "./_driver.ts";

/** The SQLSTATE of a row whose key is there. */
const UNIQUE_VIOLATION = "23505";

/** The statements of a transaction: one after the other, as some take several questions. */
export class Statements implements SqlWork {
  readonly #client: PgClient;
  #last: Promise<unknown> = Promise.resolve();
  /** Whether rows that were taken for new were there: then they most likely are again. */
  #clashed = false;

  constructor(client: PgClient) {
    this.#client = client;
  }

  /** Runs a statement behind those before it; behind one that failed none. */
  run(statement: SqlStatement): Promise<readonly SqlResultRow[]> {
    const answer = this.#last.then(() => this.#run(statement));
    this.#last = answer;
    return answer;
  }

  async #run(statement: SqlStatement): Promise<readonly SqlResultRow[]> {
    if ("newRows" in statement) return await this.#copyNew(statement as CopyNewStatement);
    if ("lines" in statement) await this.#copy(statement as CopyStatement);
    else return (await this.#ask(statement)).rows;
    return [];
  }

  /** Rows of which most likely none is there: the one row tells how many were not. */
  async #copyNew(statement: CopyNewStatement): Promise<readonly SqlResultRow[]> {
    if (!this.#clashed) {
      await this.#client.query({ text: "SAVEPOINT new_rows" });
      try {
        await this.#copy(statement);
        await this.#client.query({ text: "RELEASE new_rows" });
        return [[String(statement.newRows)]];
      } catch (thrown) {
        if ((thrown as { code?: unknown }).code !== UNIQUE_VIOLATION) throw thrown;
        await this.#client.query({ text: "ROLLBACK TO new_rows" });
        this.#clashed = true;
      }
    }
    const { rowCount } = await this.#ask(statement.orElse());
    return [[String(rowCount)]];
  }

  async #copy(statement: CopyStatement): Promise<void> {
    const copy = new CopyIn(statement);
    this.#client.query(copy);
    await copy.done;
  }

  #ask({ text, parameters }: SqlStatement) {
    let n = 0;
    const numbered = text.replaceAll("?", () => `$${++n}`);
    return this.#client.query({ text: numbered, values: parameters, rowMode: "array" });
  }
}
