import type { Statements } from "./sqlite_statements.ts";

/** So many values are kept in memory … */
const MAX_KEPT = 256;
/** … none of more characters than this. */
const MAX_CHARS = 65_536;

/** The values of a SQLite log. Some are asked for with each push and each page: those are at hand. */
export class SqliteValues {
  readonly #statements: Statements;
  readonly #kept = new Map<string, string | undefined>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** A value; undefined where there is none. */
  get(key: string): string | undefined {
    const kept = this.#kept.get(key);
    if (kept !== undefined || this.#kept.has(key)) return kept;
    const { value } = (this.#statements.getValue.get(key) ?? {}) as { value?: string };
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    if ((value?.length ?? 0) <= MAX_CHARS) this.#kept.set(key, value);
    return value;
  }

  /** Sets a value; null removes it. */
  set(key: string, value: string | null): void {
    this.#kept.delete(key);
    if (value === null) this.#statements.deleteValue.run(key);
    else this.#statements.putValue.run(key, value);
  }

  /** To be called when a transaction was undone: a value that it had set may have been read in it. */
  forget(): void {
    this.#kept.clear();
  }
}
