import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** So many rows go with one statement: a call for each costs half as much again. */
const ROWS = 32;

/** What {@linkcode SqliteInserts} insert. */
export interface InsertsShape {
  /** How many columns a row has. */
  readonly columns: number;
  /** The statement that takes these lists of values: `(?, ?), (?, ?)`. */
  readonly sql: (values: string) => string;
}

/** Inserts many rows by few statements, within the caller's transaction. */
export class SqliteInserts {
  readonly #columns: number;
  readonly #one: StatementSync;
  readonly #many: StatementSync;
  /** One list for all statements: they copy what they are given. */
  readonly #values: SQLInputValue[];
  #filled = 0;

  constructor(db: DatabaseSync, { columns, sql }: InsertsShape) {
    const row = `(${Array(columns).fill("?").join(", ")})`;
    this.#columns = columns;
    this.#one = db.prepare(sql(row));
    this.#many = db.prepare(sql(Array(ROWS).fill(row).join(", ")));
    this.#values = Array(ROWS * columns).fill(null);
  }

  /** Forgets what a transaction that was rolled back has left. */
  begin(): void {
    this.#filled = 0;
  }

  /** Adds the next value of a row; a row is as many as there are columns. */
  add(value: SQLInputValue): void {
    this.#values[this.#filled++] = value;
    if (this.#filled < this.#values.length) return;
    this.#filled = 0;
    this.#many.run(...this.#values);
  }

  /** Inserts the rest. */
  end(): void {
    const filled = this.#filled;
    this.#filled = 0;
    for (let i = 0; i < filled; i += this.#columns) {
      this.#one.run(...this.#values.slice(i, i + this.#columns));
    }
  }
}
