import type { Cell } from "./_cells.ts";

/** Changes, column by column. */
export interface Changes {
  /** The bucket of each. */
  readonly bucket: ArrayLike<number>;
  readonly id: ArrayLike<string>;
  readonly op: ArrayLike<string>;
  /** The stamps, as signed longs. */
  readonly hlc: ArrayLike<bigint>;
  readonly clientId: ArrayLike<string>;
  /** The names of the columns that each carries, comma-separated. */
  readonly carried: ArrayLike<string | null>;
  /** The app's columns, in the job's order. */
  readonly cells: readonly ArrayLike<Cell>[];
}

/** Collects changes. */
export class ChangeList implements Changes {
  readonly bucket: number[] = [];
  readonly id: string[] = [];
  readonly op: string[] = [];
  readonly hlc: bigint[] = [];
  readonly clientId: string[] = [];
  readonly carried: (string | null)[] = [];
  readonly cells: Cell[][];

  /** @param columns How many columns the app has. */
  constructor(columns: number) {
    this.cells = Array.from({ length: columns }, () => []);
  }

  /** Adds one of other changes. */
  add(from: Changes, row: number): void {
    this.bucket.push(from.bucket[row]!);
    this.id.push(from.id[row]!);
    this.op.push(from.op[row]!);
    this.hlc.push(from.hlc[row]!);
    this.clientId.push(from.clientId[row]!);
    this.carried.push(from.carried[row]!);
    for (let i = 0; i < this.cells.length; i++) this.cells[i]!.push(from.cells[i]![row]!);
  }

  /** Adds others. */
  addAll(from: Changes): void {
    for (let row = 0; row < from.id.length; row++) this.add(from, row);
  }

  /** The places of each bucket's changes. */
  places(): ReadonlyMap<number, readonly number[]> {
    const places = new Map<number, number[]>();
    for (const [place, bucket] of this.bucket.entries()) {
      const list = places.get(bucket);
      if (list === undefined) places.set(bucket, [place]);
      else list.push(place);
    }
    return places;
  }
}
