/**
 * Gives one run of chunks to several readers. The next chunk is read when all of them have asked for
 * it, so that no more than one is held; whoever ends early holds up nobody.
 */
export class Lockstep<T> {
  readonly #chunks: AsyncIterator<T>;
  #readers = 0;
  #asking: ((next: Promise<IteratorResult<T>>) => void)[] = [];

  constructor(chunks: AsyncIterable<T>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** A reader. All of them are made before the first one reads. */
  reader(): { readonly chunks: AsyncIterable<T>; leave(): void } {
    this.#readers++;
    let left = false;
    const leave = () => {
      if (left) return;
      left = true;
      this.#readers--;
      this.#goOn();
    };
    const end = { done: true, value: undefined } as const;
    const next = (): Promise<IteratorResult<T>> => {
      if (left) return Promise.resolve(end);
      return new Promise((resolve) => {
        this.#asking.push(resolve);
        this.#goOn();
      });
    };
    const stop = (): Promise<IteratorResult<T>> => {
      leave();
      return Promise.resolve(end);
    };
    return { chunks: { [Symbol.asyncIterator]: () => ({ next, return: stop }) }, leave };
  }

  #goOn(): void {
    if (this.#asking.length === 0 || this.#asking.length < this.#readers) return;
    const next = this.#chunks.next();
    for (const answer of this.#asking.splice(0)) answer(next);
  }
}
