import {
  type Hlc,
  LakeSyncError,
  type LogStore,
  unwrapOrThrow,
  type Watermark,
} from "@lakesync/core";

/** How far a copy is. */
export interface CopyPlace {
  /** The watermark that the destination's table has. */
  readonly mark: Watermark | undefined;
  /** The last seq that was given. */
  readonly seq: number;
  /** Where the source is read on. */
  readonly cursor: string | undefined;
  /** The last stamp. */
  readonly hlc: Hlc | undefined;
}

/** What is stored: the last commit that took place, and those after it of which it is not known. */
interface Stored {
  readonly done: CopyPlace;
  readonly intended: readonly CopyPlace[];
}

/** Before the first commit. A table that has data then is somebody else's. */
const NOTHING: Stored = {
  done: { mark: undefined, seq: 0, cursor: undefined, hlc: undefined },
  intended: [],
};

/** A commit that failed longer ago than so many others is not expected to take place any more. */
const INTENDED = 16;

/** Keeps the place of a copy. */
export class CopyPlaces {
  readonly #key: string;
  readonly #values: Pick<LogStore, "getValue" | "setValue">;
  #stored: Stored | undefined;

  constructor(key: string, values: Pick<LogStore, "getValue" | "setValue">) {
    this.#key = key;
    this.#values = values;
  }

  /** The place that fits what the destination's table has. Throws `CONFLICT` where none does. */
  async open(mark: Watermark | undefined): Promise<CopyPlace> {
    const text = unwrapOrThrow(await this.#values.getValue(this.#key));
    const { done, intended }: Stored = text === undefined ? NOTHING : JSON.parse(text);
    // No two commits that were ever tried have the same watermark: it tells which one took place.
    const place = [done, ...intended].find((place) => same(place.mark, mark));
    if (place === undefined) throw this.#lost();
    this.#stored = { done: place, intended: place === done ? intended : [] };
    return place;
  }

  /** Keeps a place that the destination is about to commit. */
  async intend(place: CopyPlace): Promise<void> {
    const { done, intended } = this.#stored!;
    await this.#store({ done, intended: [...intended, place].slice(-INTENDED) });
  }

  /** Keeps a place that it has committed. */
  async done(place: CopyPlace): Promise<void> {
    await this.#store({ done: place, intended: [] });
  }

  async #store(stored: Stored): Promise<void> {
    this.#stored = stored;
    unwrapOrThrow(await this.#values.setValue(this.#key, JSON.stringify(stored)));
  }

  #lost(): LakeSyncError {
    return new LakeSyncError(
      "CONFLICT",
      `Cannot go on with "${this.#key}": the destination's table was written to by somebody else, ` +
        "or made anew; copy to a new one, by a source or a destination of another name",
    );
  }
}

function same(a: Watermark | undefined, b: Watermark | undefined): boolean {
  return a?.epoch === b?.epoch && a?.seq === b?.seq;
}
