import { compareHlc, type Hlc, type LakeFile } from "@lakesync/core";
import type { RowFilter } from "./_filter.ts";

/** The files that may have what is asked for. */
export function mayMatch(
  files: readonly LakeFile[],
  options: { asOf: Hlc | undefined; filter: RowFilter | undefined },
): readonly LakeFile[] {
  const { asOf, filter } = options;
  return files.filter(({ hlc, mayHave, committed }) =>
    (asOf === undefined || hlc === undefined || compareHlc(hlc.min, asOf) <= 0) &&
    (filter?.ids === undefined || mayHave === undefined || [...filter.ids].some(mayHave)) &&
    (filter?.from === undefined || committed === undefined || committed.max >= filter.from) &&
    (filter?.to === undefined || committed === undefined || committed.min <= filter.to)
  );
}
