import type { LakeFile } from "@lakesync/core";
import { type ChangesSource, changesSql } from "./_changes.ts";
import { tiesSql } from "./_merge.ts";
import type { Session } from "./_session.ts";
import { name } from "./_sql.ts";

/** What is known of a table's files. */
interface Known {
  readonly files: ReadonlySet<string>;
  readonly ties: boolean;
}

/**
 * Finds out whether a table has changes of one row with equal hlcs. Data files never change, so
 * what was found for a table's files holds for them and, where it is none, for any of them.
 */
export class TieCheck {
  readonly #known: Map<string, Known> = new Map();

  /** Whether there are ties in a changelog, at whatever stamp it is read. */
  async check(
    session: Session,
    options: { table: string; source: ChangesSource },
  ): Promise<boolean> {
    const { table, source } = options;
    if (await this.#inFiles(session, { table, source })) return true;
    if (source.pending === undefined) return false;
    // The files have none among themselves, so only what a pending delta meets is left.
    const all = changesSql({ ...source, asOf: undefined });
    return await ask(
      session,
      `(SELECT "id", "_hlc" FROM (${all}) SEMI JOIN ${name(source.pending)} USING ("id", "_hlc"))`,
    );
  }

  async #inFiles(
    session: Session,
    options: { table: string; source: ChangesSource },
  ): Promise<boolean> {
    const { table, source } = options;
    if (source.scan === undefined || source.scan.files.length === 0) return false;
    const files = new Set(source.scan.files.map((file: LakeFile) => file.url));
    const known = this.#known.get(table);
    // What all of some files have not, none of them has.
    if (known !== undefined && files.isSubsetOf(known.files)) {
      if (!known.ties || files.size === known.files.size) return known.ties;
    }
    const sql = changesSql({ ...source, pending: undefined, asOf: undefined });
    const ties = await ask(session, `(${sql})`);
    if (known === undefined || files.size >= known.files.size) {
      this.#known.set(table, { files, ties });
    }
    return ties;
  }
}

async function ask(session: Session, relation: string): Promise<boolean> {
  const [row] = await session.run((connection) => connection.rows(tiesSql(relation)));
  return row?.["ties"] === true;
}
