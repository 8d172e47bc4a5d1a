import type { DataFile, EntryStatus, ManifestEntry } from "./manifest.ts";

/** Files of a kind, and what is in them. */
interface Sum {
  readonly files: bigint;
  readonly rows: bigint;
  readonly bytes: bigint;
}

/** What a snapshot's summary says of its files. */
export function countsOf(entries: readonly ManifestEntry[]): { [property: string]: string } {
  const of = (kind: (file: DataFile) => boolean) => ({
    added: sumOf(entries, { kind, statuses: [1] }),
    removed: sumOf(entries, { kind, statuses: [2] }),
    total: sumOf(entries, { kind, statuses: [0, 1] }),
  });
  const data = of(({ content = 0 }) => content === 0);
  const deletes = of(({ content = 0 }) => content !== 0);
  const positions = of(({ content = 0 }) => content === 1);
  const vectors = of(({ format }) => format === "PUFFIN");
  const equality = of(({ content }) => content === 2);
  const changed = new Set(
    entries.filter(({ status }) => status !== 0).map(({ file }) => file.partition),
  );
  const counts = {
    "added-data-files": data.added.files,
    "added-records": data.added.rows,
    "added-files-size": data.added.bytes + deletes.added.bytes,
    "deleted-data-files": data.removed.files,
    "deleted-records": data.removed.rows,
    "removed-files-size": data.removed.bytes + deletes.removed.bytes,
    "changed-partition-count": BigInt(changed.size),
    "total-data-files": data.total.files,
    "total-records": data.total.rows,
    "total-files-size": data.total.bytes + deletes.total.bytes,
    "total-delete-files": deletes.total.files,
    "total-position-deletes": positions.total.rows,
    "total-equality-deletes": equality.total.rows,
  };
  // These are left out where there is nothing to tell.
  const some = (["added", "removed"] as const).flatMap((what) =>
    [
      [`${what}-delete-files`, deletes[what].files],
      [`${what}-position-delete-files`, positions[what].files - vectors[what].files],
      [`${what}-dvs`, vectors[what].files],
      [`${what}-position-deletes`, positions[what].rows],
      [`${what}-equality-delete-files`, equality[what].files],
      [`${what}-equality-deletes`, equality[what].rows],
    ] as const
  );
  return Object.fromEntries(
    [...Object.entries(counts), ...some.filter(([, count]) => count > 0n)]
      .map(([name, count]) => [name, String(count)]),
  );
}

function sumOf(
  entries: readonly ManifestEntry[],
  { kind, statuses }: {
    kind: (file: DataFile) => boolean;
    statuses: readonly EntryStatus[];
  },
): Sum {
  let files = 0n;
  let rows = 0n;
  let bytes = 0n;
  for (const { status, file } of entries) {
    if (!statuses.includes(status) || !kind(file)) continue;
    files++;
    rows += file.rows;
    // Of a vector that alone: its file has others, too.
    bytes += file.contentSize ?? file.bytes;
  }
  return { files, rows, bytes };
}
