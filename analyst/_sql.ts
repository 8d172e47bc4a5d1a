/** An identifier in SQL. */
export function name(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** A string literal in SQL, for the statements that take no parameters (views). */
export function text(literal: string): string {
  return `'${literal.replaceAll("'", "''")}'`;
}
