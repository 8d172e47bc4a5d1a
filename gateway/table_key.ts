/** What a table's entries are found by. */
const PREFIX = "t:";

/**
 * The key that every entry of a table is appended with.
 *
 * @param table The table.
 * @returns The key.
 */
export function tableKey(table: string): string {
  return `${PREFIX}${table}`;
}

/**
 * The table that a key stands for.
 *
 * @param key A key of {@linkcode ReadLogOptions.keys}.
 * @returns The table; undefined for any other key.
 */
export function tableOfKey(key: string): string | undefined {
  return key.startsWith(PREFIX) ? key.slice(PREFIX.length) : undefined;
}
