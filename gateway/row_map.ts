/**
 * Something for each of many rows, by table and key. A row's key is looked up as the text it came
 * as: joined with its table it would be a new text each time, to be put together and hashed.
 */
export class RowMap<Table, Value> {
  readonly #tables = new Map<Table, Map<string, Value>>();
  #size = 0;

  /** How many rows there are. */
  get size(): number {
    return this.#size;
  }

  /** What there is for a row; undefined where there is nothing. */
  get(table: Table, rowId: string): Value | undefined {
    return this.#tables.get(table)?.get(rowId);
  }

  /** Sets what there is for a row. */
  set(table: Table, rowId: string, value: Value): void {
    let rows = this.#tables.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#tables.set(table, rows);
    }
    const before = rows.size;
    rows.set(rowId, value);
    this.#size += rows.size - before;
  }

  /** What there is for the rows of one table, by key. */
  of(table: Table): ReadonlyMap<string, Value> {
    return this.#tables.get(table) ?? new Map();
  }

  /** The tables. */
  tables(): Table[] {
    return [...this.#tables.keys()];
  }

  /** What there is for all rows. */
  values(): Value[] {
    if (this.#tables.size === 1) return [...this.#tables.values().next().value!.values()];
    return [...this.#tables.values()].flatMap((rows) => [...rows.values()]);
  }
}
