/** A bug to plant: texts of the product, each of which stands in its file exactly once. */
export interface Plant {
  /** What is wrong then. */
  readonly bug: string;
  readonly edits: readonly {
    /** The file, from the root. */
    readonly file: string;
    readonly find: string;
    readonly replace: string;
  }[];
}

/** One edit, as most bugs are. */
export function plant(bug: string, file: string, find: string, replace: string): Plant {
  return { bug, edits: [{ file, find, replace }] };
}
