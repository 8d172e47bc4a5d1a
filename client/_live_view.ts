import { ok, type Result, type SqlDatabase, type SqlRow, type SqlValue } from "@lakesync/core";
import { ID, type LiveShape, MAX_ROWS, RANK } from "./_live_shape.ts";
import { sameValue } from "./_row_changes.ts";

/** Rows that may change at once and still be looked at one by one. */
const MAX_TOUCHED = 500;

/** A row of a view. */
interface ViewRow {
  readonly id: string;
  readonly keys: readonly SqlValue[];
  readonly row: SqlRow;
}

/** A row that may be in a view, and how it compares. */
interface Candidate extends ViewRow {
  readonly rank: SqlValue;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The result of a query of a known shape, brought up to date by looking at the rows that changed.
 *
 * What is held are the first rows of the table in one order, at some state of it. Where a change
 * touches rows T, the new result is among the held rows and T, as long as no row beyond the held ones
 * can move up: because none of the held ones is in T, because they were all there are, or because
 * the last one of the new result was held before and is not in T. Else, and wherever two rows are
 * equal in what the result is sorted by, the query runs again.
 *
 * A query may see a change before it is told of it. So held rows that are not in T must be as they
 * were in all that they are sorted by, else the query runs again; a row beyond them is in the T to
 * come.
 */
export class LiveView {
  readonly #database: SqlDatabase;
  readonly #shape: LiveShape;
  readonly #params: readonly SqlValue[];
  readonly #hidden: ReadonlySet<string>;
  #rows: readonly ViewRow[] | undefined;
  #tooLarge = false;

  constructor(database: SqlDatabase, shape: LiveShape, params: readonly SqlValue[]) {
    this.#database = database;
    this.#shape = shape;
    this.#params = params;
    this.#hidden = new Set([ID, RANK, ...shape.keys]);
  }

  /**
   * The result now.
   *
   * @param touched The rows that may have changed since; undefined where any may have.
   * @returns The rows; undefined where they are as they were.
   */
  async refresh(touched: ReadonlySet<string> | undefined): Promise<Result<SqlRow[] | undefined>> {
    const held = this.#rows;
    const result = held === undefined || touched === undefined || touched.size > MAX_TOUCHED
      ? await this.#whole()
      : await this.#follow(held, touched);
    // What was touched is not told twice.
    if (!result.ok) this.#rows = undefined;
    return result;
  }

  async #follow(
    held: readonly ViewRow[],
    touched: ReadonlySet<string>,
  ): Promise<Result<SqlRow[] | undefined>> {
    if (!held.some(({ id }) => touched.has(id))) {
      const entering = await this.#database.query(this.#shape.probe, [
        ...this.#params,
        JSON.stringify([...touched]),
      ]);
      if (!entering.ok) return entering;
      if (entering.value.length === 0) return ok(undefined);
    }
    const rows = await this.#among(held, touched);
    if (!rows.ok) return rows;
    if (rows.value === undefined) return await this.#whole();
    this.#rows = rows.value;
    return ok(rows.value.map(({ row }) => row));
  }

  /** Whether the result was found to have more rows than are followed one by one. */
  get tooLarge(): boolean {
    return this.#tooLarge;
  }

  async #whole(): Promise<Result<SqlRow[]>> {
    this.#rows = undefined;
    const result = await this.#database.query(this.#shape.whole, this.#params);
    if (!result.ok) return result;
    const rows = result.value.map((row) => this.#viewRow(row));
    this.#tooLarge = rows.length > MAX_ROWS;
    if (!this.#tooLarge) this.#rows = rows;
    return ok(rows.map(({ row }) => row));
  }

  /** The new result out of the held rows and those that changed, where that can be known. */
  async #among(
    held: readonly ViewRow[],
    touched: ReadonlySet<string>,
  ): Promise<Result<readonly ViewRow[] | undefined>> {
    const { keys, limit, among } = this.#shape;
    if (keys.length === 0) return ok(undefined);
    const places = new Map(held.map(({ id }, place) => [id, place]));
    const ids = [...new Set([...places.keys(), ...touched])];
    const result = await this.#database.query(among, [...this.#params, JSON.stringify(ids)]);
    if (!result.ok) return result;
    const candidates = result.value.map((row): Candidate => ({
      ...this.#viewRow(row),
      rank: row[RANK]!,
    }));
    const isTouched = ({ id }: ViewRow): boolean => touched.has(id);
    for (const [i, candidate] of candidates.entries()) {
      if (i > 0 && candidates[i - 1]!.rank === candidate.rank) {
        if (isTouched(candidate) || isTouched(candidates[i - 1]!)) return ok(undefined);
      }
    }
    // Of rows that are equal in what they are sorted by, the order is that of before.
    candidates.sort((a, b) =>
      a.rank === b.rank ? places.get(a.id)! - places.get(b.id)! : Number(a.rank) - Number(b.rank)
    );
    const kept = held.filter((row) => !isTouched(row));
    const still = candidates.filter((row) => !isTouched(row));
    const asBefore = kept.length === still.length &&
      kept.every(({ id, keys }, i) => id === still[i]!.id && sameValues(keys, still[i]!.keys));
    if (!asBefore) return ok(undefined);
    const rows = candidates.slice(0, limit);
    const last = rows.at(-1);
    const known = limit === undefined || held.length < limit || kept.length === held.length ||
      (rows.length === limit && last !== undefined && !isTouched(last));
    return ok(known ? rows : undefined);
  }

  #viewRow(raw: SqlRow): ViewRow {
    const row: { [column: string]: SqlValue } = Object.create(null);
    for (const column in raw) if (!this.#hidden.has(column)) row[column] = raw[column]!;
    return {
      id: decoder.decode(raw[ID] as Uint8Array),
      keys: this.#shape.keys.map((key) => raw[key]!),
      row,
    };
  }
}

function sameValues(a: readonly SqlValue[], b: readonly SqlValue[]): boolean {
  return a.every((value, i) => sameValue(value, b[i]!));
}
