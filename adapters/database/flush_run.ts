import type {
  Logger,
  Materialisable,
  MaterialiseReport,
  Result,
  TableJobStats,
  TableSchema,
} from "@lakesync/core";

/** Values that no column held, by table and column: of the last run that met with some. */
export class Misfits {
  readonly #tables: Map<string, ReadonlyMap<string, number>> = new Map();

  /** Notes what a run found. */
  note(table: string, found: ReadonlyMap<string, number>): void {
    if (found.size > 0) this.#tables.set(table, found);
  }

  /** Tables with what there is to be told of them. */
  addedTo(tables: ReadonlyMap<string, TableJobStats>): ReadonlyMap<string, TableJobStats> {
    const all = new Map(tables);
    for (const [table, misfits] of this.#tables) {
      all.set(table, { waiting: false, attempts: 0, ...all.get(table), misfits });
    }
    return all;
  }
}

/** Materialises a table, and tells of values that no column held. */
export function materialiseJob(options: {
  readonly target: Materialisable;
  readonly misfits: Misfits;
  readonly logger: Logger;
  readonly destination: string;
}): (
  schema: TableSchema,
  options: { signal: AbortSignal },
) => Promise<Result<MaterialiseReport>> {
  const { target, misfits, logger, destination } = options;
  return async (schema, { signal }) => {
    const report = await target.materialise(schema, { signal });
    if (report.ok && report.value.misfits.size > 0) {
      const { table } = schema;
      misfits.note(table, report.value.misfits);
      const columns = Object.fromEntries(report.value.misfits);
      logger.log("warn", "materialise.misfits", { destination, table, columns });
    }
    return report;
  };
}
