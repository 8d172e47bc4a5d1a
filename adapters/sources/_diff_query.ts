import { LakeSyncError, type SqlDialect, type SqlDigest, type SqlStatement } from "@lakesync/core";
import { BucketSums } from "./_diff_state.ts";
import { type SqlRead, SqlReader, type SqlSourceOptions } from "./_sql_reader.ts";

/** A row with what tells whether it has changed. */
export interface DigestedRow {
  readonly row: SqlRead;
  readonly bucket: number;
  /** By all of its columns. */
  readonly hash: string;
}

/** More buckets than this are not named one by one: all rows are read. */
const NAMED = 4_096;

/** What a diff asks its database. */
export class DiffQuery {
  readonly reader: SqlReader;
  readonly #options: SqlSourceOptions;

  constructor(options: SqlSourceOptions) {
    this.#options = options;
    this.reader = new SqlReader(options, (dialect) => {
      const { bucket, hash } = this.#digest(dialect);
      return [bucket, hash];
    });
  }

  /** What the rows come to: the database reads all of them, and sends none. */
  async sums(signal: AbortSignal | undefined): Promise<BucketSums> {
    const found = await this.reader.ask((dialect, from) => {
      const { bucket, hash } = this.#digest(dialect);
      const rows = `SELECT ${bucket} AS b, ${hash} AS h FROM ${from}`;
      return { text: `SELECT b, COUNT(*), SUM(h) FROM (${rows}) d GROUP BY b`, parameters: [] };
    }, signal);
    const all = new BucketSums();
    for (const [bucket, rows, sum] of found) {
      all.rows[Number(bucket)] = Number(rows);
      all.sums[Number(bucket)] = BigInt(sum!);
    }
    return all;
  }

  /** Rows of some buckets. */
  async rows(
    about: {
      /** Undefined for all. */
      readonly buckets: readonly number[] | undefined;
      /** A page in the order of the keys, behind a key or from the first; undefined for all at once. */
      readonly page: { readonly after: string | undefined } | undefined;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<DigestedRow[]> {
    const { buckets, page, signal } = about;
    const { key } = this.#options;
    const rows = await this.reader.page({
      where: (dialect) => {
        const all: SqlStatement[] = [];
        if (page?.after !== undefined) {
          all.push({ text: `${dialect.quote(key)} > ?`, parameters: [page.after] });
        }
        if (buckets !== undefined && buckets.length <= NAMED) {
          const { bucket } = this.#digest(dialect);
          all.push(dialect.within(bucket, { type: "integer", values: buckets }));
        }
        return all.length === 0 ? undefined : {
          text: all.map(({ text }) => text).join(" AND "),
          parameters: all.flatMap(({ parameters }) => parameters),
        };
      },
      orderBy: page === undefined ? undefined : [key],
      signal,
    });
    const digested = rows.map((row) => ({
      row,
      bucket: Number(row.texts[1]),
      hash: row.texts[2]!,
    }));
    return page === undefined ? digested.sort(byKey) : digested;
  }

  /** Those of some keys that are there. */
  async there(keys: readonly string[], signal: AbortSignal | undefined): Promise<Set<string>> {
    const rows = await this.reader.ask((dialect, from) => {
      const key = dialect.quote(this.#options.key);
      const list = keys.map(() => "?").join(", ");
      return { text: `SELECT ${key} FROM ${from} WHERE ${key} IN (${list})`, parameters: keys };
    }, signal);
    return new Set(rows.map(([key]) => key!));
  }

  #digest(dialect: SqlDialect): SqlDigest {
    const { name, key, to } = this.#options;
    const columns = [key, ...to.columns.map(({ name }) => name)].map(dialect.quote);
    const digest = dialect.digest?.({ key: dialect.quote(key), columns });
    if (digest !== undefined) return digest;
    throw new LakeSyncError(
      "VALIDATION_ERROR",
      `Cannot compare source "${name}": its database has no digest of rows, read it by a cursor`,
    );
  }
}

function byKey(a: DigestedRow, b: DigestedRow): number {
  return a.row.key < b.row.key ? -1 : 1;
}
