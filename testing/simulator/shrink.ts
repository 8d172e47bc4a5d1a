/**
 * Cuts a failing list down: takes out one stretch after the other, large ones first, as long as it
 * still fails without them.
 *
 * @param count How many things there are.
 * @param options Whether it still fails with only those at these places, and the most tries.
 * @returns The places of what is left.
 */
export async function shrink(
  count: number,
  options: { fails: (places: readonly number[]) => Promise<boolean>; maxTries: number },
): Promise<readonly number[]> {
  let kept = Array.from({ length: count }, (_, place) => place);
  let tries = 0;
  for (let size = (count + 1) >> 1; size >= 1; size = size === 1 ? 0 : (size + 1) >> 1) {
    for (let start = 0; start < kept.length && tries < options.maxTries;) {
      const fewer = [...kept.slice(0, start), ...kept.slice(start + size)];
      tries++;
      if (await options.fails(fewer)) kept = fewer;
      else start += size;
    }
  }
  return kept;
}
