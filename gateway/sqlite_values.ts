import type { Statements } from "./sqlite_statements.ts";

/** A value of a SQLite log; undefined where there is none. */
export function readValue(statements: Statements, key: string): string | undefined {
  return (statements.getValue.get(key) as { value: string } | undefined)?.value;
}

/** Sets a value of a SQLite log; null removes it. */
export function writeValue(statements: Statements, key: string, value: string | null): void {
  if (value === null) statements.deleteValue.run(key);
  else statements.putValue.run(key, value);
}
