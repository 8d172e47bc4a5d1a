/**
 * Does work on some things at once, and gives its results in their order.
 *
 * @param things What there is to do, taken one by one.
 * @param options What is done, and on how many at once: `aloneIf` tells of a thing that it is too much
 * beside others.
 */
export async function* ahead<T, R>(
  things: AsyncIterable<T>,
  { work, atOnce, aloneIf = () => false }: {
    work: (thing: T) => Promise<R>;
    atOnce: number;
    aloneIf?: (thing: T) => boolean;
  },
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  try {
    for await (const thing of things) {
      const alone = aloneIf(thing);
      while (running.length > (alone ? 0 : atOnce - 1)) yield await running.shift()!;
      const one = work(thing);
      // It is awaited later, in its turn.
      one.catch(() => {});
      running.push(one);
      if (alone) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    await Promise.allSettled(running);
  }
}
