import { type Plant, plant } from "./plant.ts";

/** Bugs of the lake's upkeep and of its catalogue that the simulator has to find. */
export const LAKE_PLANTS: readonly Plant[] = [
  plant(
    "a log that was restored is flushed again once it has outgrown the lake",
    "gateway/flush_history.ts",
    "if (mark.hash === undefined || mark.hash === hash.value) return ok(undefined);",
    "if (mark.hash === undefined || hash.value !== undefined) return ok(undefined);",
  ),
  plant(
    "a table of the lake does not say which log it was written from",
    "adapters/iceberg/metadata.ts",
    "    ...(hash !== undefined && { [HASH_PROPERTY]: hash }),\n",
    "",
  ),
  plant(
    "a compaction says that it has folded in more than it has",
    "adapters/iceberg/compact_run.ts",
    '[CHANGES_SEQUENCE_PROPERTY]: String(snapshot["sequence-number"]),',
    '[CHANGES_SEQUENCE_PROPERTY]: String(snapshot["sequence-number"] + 1n),',
  ),
  plant(
    "a compaction forgets the rows that do not show",
    "adapters/iceberg/compact_run.ts",
    "      hidden: anew ? none : hidden.value.data,\n",
    "      hidden: none,\n",
  ),
  plant(
    "a column of the current rows has its row's stamp, not its own",
    "adapters/iceberg/state_row.ts",
    "stamps.get(name) ?? (cell === null ? undefined : life);",
    "(cell === null ? stamps.get(name) : life);",
  ),
  plant(
    "a new deletion vector forgets what the one before it had",
    "adapters/iceberg/compact_write.ts",
    "positions: [...before, ...positions]",
    "positions: [...(before, positions)]",
  ),
  plant(
    "of the rows that are gone every other one comes back",
    "adapters/iceberg/compact_bucket.ts",
    "if (gone.has(one, row, id)) return;",
    "if (gone.has(one, row, id) && row % 2 === 0) return;",
  ),
  plant(
    "a compaction that does not know what became of its commit removes its files",
    "adapters/iceberg/compact_run.ts",
    '      case "unknown":\n        this.#made = [];\n',
    '      case "unknown":\n',
  ),
  {
    bug: "merged files are as old as the oldest of what is in them, folded or not",
    edits: [
      {
        file: "adapters/iceberg/rewrite.ts",
        find: "    const place = `${partition} ${entry.sequenceNumber! > folded}`;\n",
        replace: "    const place = `${partition}`;\n",
      },
      {
        file: "adapters/iceberg/rewrite.ts",
        find: "sequenceNumber! > max ? sequenceNumber! : max,\n            0n,",
        replace: "sequenceNumber! < max ? sequenceNumber! : max,\n            2n ** 62n,",
      },
    ],
  },
  plant(
    "small files are merged on top of whatever was committed meanwhile",
    "adapters/iceberg/rewrite.ts",
    "  return there === removed.size;\n",
    "  return there >= 0;\n",
  ),
  plant(
    "files that nothing names are removed however young they are",
    "adapters/iceberg/orphans.ts",
    "modified < before && !named",
    "modified < before + 3_600_000 && !named",
  ),
  plant(
    "only the newest snapshot's files count as named",
    "adapters/iceberg/orphans.ts",
    "  for (const snapshot of metadata.snapshots) {\n",
    "  for (const snapshot of metadata.snapshots.slice(-1)) {\n",
  ),
  plant(
    "an open commit counts as not carried out",
    "adapters/iceberg/rest_commit.ts",
    '      case "committed":\n        return { status: "committed", version: newest.value };\n      case "passed":\n',
    '      case "committed":\n      case "passed":\n',
  ),
  plant(
    "a catalogue that fails is taken to have refused",
    "adapters/iceberg/rest_commit.ts",
    "if (!lost && !isOpen(answer.status) && answer.status !== 200) {",
    "if (!lost && answer.status !== 200) {",
  ),
];
