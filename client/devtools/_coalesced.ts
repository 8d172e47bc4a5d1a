/**
 * Runs work that is asked for again and again: one run at a time, and after it one more for all who asked
 * meanwhile.
 *
 * @returns Asks for a run; resolves when none is due any more.
 */
export function coalesced(work: () => Promise<void>): () => Promise<void> {
  let due = false;
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    try {
      while (due) {
        due = false;
        await work();
      }
    } finally {
      running = undefined;
    }
  };
  return () => {
    due = true;
    return running ??= run();
  };
}
