/** The most characters of states that are kept. */
const MOST_CHARS = 32 * 1024 * 1024;

/** What rows of a table have become lately. */
export interface LatelyMerged {
  /** The place behind which the deltas are that they were merged from. */
  readonly after: number;
  /** The states as text, by row. */
  readonly states: ReadonlyMap<string, string>;
}

/** States that a batch has merged, as long as it is not known whether they count. */
export class MergedStates {
  /** By table and row. */
  readonly tables: Map<string, Map<string, string>> = new Map();
  /** Whether no state is left out. */
  complete = true;
  /** How long the texts are together. */
  chars = 0;
  readonly #most: number;

  /** @param keep Whether anybody will ask for them. */
  constructor(keep: boolean) {
    this.#most = keep ? MOST_CHARS : 0;
  }

  /** Notes what a row has become. */
  set(table: string, { rowId, text }: { readonly rowId: string; readonly text: string }): void {
    if (!this.complete) return;
    let states = this.tables.get(table);
    if (states === undefined) this.tables.set(table, states = new Map());
    this.chars += text.length - (states.get(rowId)?.length ?? 0);
    states.set(rowId, text);
    if (this.chars <= this.#most) return;
    // Some of them alone are of no use.
    this.complete = false;
    this.tables.clear();
  }
}

/**
 * The states that this process has merged since they were last materialised: so they need not be read
 * back from the database. All of them are of one place, and only good while that is the last one.
 */
export class Lately {
  #through = -1;
  #chars = 0;
  readonly #tables = new Map<string, { after: number; states: Map<string, string> }>();

  /** Takes in what a batch has merged that was committed between two places. */
  add(merged: MergedStates, place: { readonly after: number; readonly through: number }): void {
    const follows = place.after === this.#through;
    // Somebody else wrote in between, or there is too much of it.
    if (!follows || !merged.complete || this.#chars + merged.chars > MOST_CHARS) this.#clear();
    this.#through = place.through;
    for (const [table, states] of merged.tables) {
      const held = this.#tables.get(table) ?? { after: place.after, states: new Map() };
      this.#tables.set(table, held);
      for (const [rowId, text] of states) {
        this.#chars += text.length - (held.states.get(rowId)?.length ?? 0);
        held.states.set(rowId, text);
      }
    }
  }

  /** Whether anything is kept of a table. */
  has(table: string): boolean {
    return this.#tables.has(table);
  }

  /**
   * Gives away what rows of a table have become.
   *
   * @param table The table.
   * @param through The last place in the database.
   * @returns Undefined where nothing is known as of that place.
   */
  take(table: string, through: number): LatelyMerged | undefined {
    const held = this.#tables.get(table);
    if (held === undefined || through !== this.#through) return undefined;
    this.#tables.delete(table);
    for (const text of held.states.values()) this.#chars -= text.length;
    return held;
  }

  #clear(): void {
    this.#tables.clear();
    this.#chars = 0;
  }
}
