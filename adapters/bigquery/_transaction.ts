import {
  type Clock,
  LakeSyncError,
  type SqlParameter,
  type SqlResultRow,
  type SqlStatement,
  type SqlWork,
} from "@lakesync/core";
import type { ApiClient } from "./_client.ts";
import { isConcurrent, isPassing } from "./_error.ts";
import type { Jobs, WaitOptions } from "./_jobs.ts";
import { QueryBuilder } from "./_query.ts";
import { makeOwnTables } from "./_tables.ts";
import { Stage } from "./_stage.ts";
import { type LoadStatement, STAGE } from "./dialect.ts";

/** What a transaction fails with where somebody else has written what it had read. */
export const MOVED = "lakesync: somebody else has written";

/** Thrown where a transaction is to be run once more, on what is there now. */
export class Overtaken extends Error {}

/** What a transaction works with. */
export interface TransactionOptions extends WaitOptions {
  readonly client: ApiClient;
  readonly jobs: Jobs;
  readonly clock: Clock;
}

interface Write {
  readonly text: string;
  readonly parameters: readonly SqlParameter[];
}

/**
 * A transaction that does not read what it has written. BigQuery has no locks and takes seconds for
 * each statement: so what is written is kept, and done in one query at the end. `FOR UPDATE` becomes a
 * condition in it that what was read is still so, and since a transaction that changes a table fails
 * where another one did so meanwhile, that is as good as a lock on rows that are changed in the end.
 *
 * Statements that make or alter a table commit by themselves, and what came before them.
 */
export class Transaction implements SqlWork {
  readonly #options: TransactionOptions;
  readonly #guards: Write[] = [];
  readonly #stages: Stage[] = [];
  #writes: Write[] = [];
  #madeOwn = false;

  constructor(options: TransactionOptions) {
    this.#options = options;
  }

  async run(statement: SqlStatement): Promise<readonly SqlResultRow[]> {
    const { jobs, signal } = this.#options;
    const { text, parameters } = statement;
    if (/^\s*SELECT\b/i.test(text)) return await this.#read(statement);
    if (isLoad(statement)) {
      const stage = new Stage({ ...this.#options, fields: statement.fields });
      this.#stages.push(stage);
      await stage.write(statement.data);
      await stage.load();
      this.#writes.push({ text: text.replace(STAGE, `\`${stage.table}\``), parameters });
      return [];
    }
    // There are no indexes: tables are clustered by their key.
    if (/^\s*CREATE INDEX\b/i.test(text)) return [];
    if (/^\s*(CREATE|ALTER|DROP)\b/i.test(text)) {
      await this.commit();
      // All of them at once, and the head with its rows.
      if (/^CREATE TABLE `lakesync_/.test(text)) {
        if (!this.#madeOwn) await makeOwnTables(jobs, { signal });
        this.#madeOwn = true;
        return [];
      }
      await jobs.execute(new QueryBuilder().add(tableText(text), parameters).build(), { signal });
      return [];
    }
    this.#writes.push({ text, parameters });
    return [];
  }

  /** Does what is to be written. Throws {@linkcode Overtaken} where somebody else was faster. */
  async commit(): Promise<void> {
    if (this.#writes.length === 0) return;
    const { client, jobs, signal } = this.#options;
    const query = new QueryBuilder().add("BEGIN TRANSACTION;\n");
    for (const { text, parameters } of this.#guards) {
      query.add(`${orFail(text, MOVED)};\n`, parameters);
    }
    for (const { text, parameters } of this.#writes) query.add(`${text};\n`, parameters);
    const script = query.add("COMMIT TRANSACTION;").build();
    for (let attempt = 1;; attempt++) {
      const { fault } = await jobs.run(script, { id: jobs.newId(), signal });
      if (fault === undefined) break;
      if (fault.message.includes(MOVED) || isConcurrent(fault)) throw new Overtaken(fault.message);
      if (attempt >= client.attempts || !isPassing(fault)) throw jobs.error(fault);
      await client.wait(attempt, signal);
    }
    this.#writes = [];
    this.#guards.length = 0;
  }

  /** Removes what it has made on its way. */
  async end(): Promise<void> {
    for (const stage of this.#stages) await stage.drop();
  }

  async #read({ text, parameters }: SqlStatement): Promise<readonly SqlResultRow[]> {
    const { jobs, signal } = this.#options;
    for (const { text: write } of this.#writes) {
      const table = /^\s*(?:MERGE INTO|INSERT INTO|DELETE FROM|UPDATE) `?(\w+)/.exec(write)?.[1];
      if (table === undefined || new RegExp(`\\b${table}\\b`).test(text)) {
        throw new LakeSyncError(
          "INTERNAL",
          `A transaction in BigQuery cannot read what it has written to "${table}"`,
        );
      }
    }
    const lock = /^([^]*\S)\s+FOR UPDATE\s*$/.exec(text);
    const select = lock?.[1] ?? text;
    const rows = await jobs.rows(new QueryBuilder().add(select, parameters).build(), { signal });
    if (lock !== null) {
      this.#guards.push({
        text: `COALESCE(CAST((${select}) AS STRING), '') = ?`,
        parameters: [...parameters, rows[0]?.[0] ?? ""],
      });
    }
    return rows;
  }
}

/** A statement that fails with a message, without a `'`, where a condition does not hold. */
export function orFail(condition: string, message: string): string {
  return `SELECT IF(${condition}, TRUE, ERROR('${message}'))`;
}

function isLoad(statement: SqlStatement): statement is LoadStatement {
  return statement.data !== undefined;
}

/** Keys are not enforced, and must be said to be so; rows are kept together by them. */
function tableText(text: string): string {
  return text.replace(
    /, PRIMARY KEY \(([^()]*)\)\)$/,
    ", PRIMARY KEY ($1) NOT ENFORCED) CLUSTER BY $1",
  );
}
