/** Keeps the newest of what comes, and no more than so many. */
export class Ring<T> {
  readonly #size: number;
  readonly #items: T[] = [];
  #added = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** What is kept, the oldest first. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** How many have ever come. */
  get added(): number {
    return this.#added;
  }

  /** Adds one, and lets go of the oldest where there are too many. */
  push(item: T): void {
    this.#added++;
    this.#items.push(item);
    if (this.#items.length > this.#size) this.#items.shift();
  }

  /** Puts another one in the place of the newest. */
  replaceLast(item: T): void {
    this.#added++;
    this.#items[this.#items.length - 1] = item;
  }

  /** Lets go of all. */
  clear(): void {
    this.#added++;
    this.#items.length = 0;
  }
}
