import type { Delta } from "@lakesync/core";
import { type ChangesSource, changesSql } from "./_changes.ts";
import { type LoadedDelta, PendingTable } from "./_load.ts";
import { identityOf } from "./_pulling.ts";
import type { Session } from "./_session.ts";
import { name } from "./_sql.ts";
import type { PlannedTable, ViewSource } from "./_views.ts";

/** Of a deletion whose stamp nobody tells, before it has one. */
const NO_STAMP = "0";

interface FreshOptions {
  readonly plans: ReadonlyMap<string, PlannedTable>;
  readonly source: ViewSource;
}

/** The deltas that the planned snapshots do not have, in a TEMP table for each table of the app. */
export class FreshChanges {
  readonly #source: ViewSource;
  readonly #tables: Map<string, PendingTable> = new Map();
  /** Those with deletions that have no stamp. */
  readonly #deleted: Set<string> = new Set();

  private constructor(source: ViewSource) {
    this.#source = source;
  }

  /** Loads them. */
  static async load(session: Session, options: FreshOptions): Promise<FreshChanges> {
    const fresh = new FreshChanges(options.source);
    await fresh.#load(session, options);
    return fresh;
  }

  /** Where those of a table are; undefined where there are none. */
  tableOf(table: string): string | undefined {
    return this.#tables.has(table) ? pendingName(table) : undefined;
  }

  /** Takes off what the lake or the gateway's log has, too, and stamps what has no stamp. */
  async settle(
    session: Session,
    { table, changes }: { table: string; changes: ChangesSource },
  ): Promise<void> {
    const { own, pulled } = this.#source;
    if (!this.#tables.has(table) || (own ?? pulled) === undefined) return;
    const fresh = name(pendingName(table));
    const all = changesSql({ ...changes, asOf: undefined });
    await session.run((connection) =>
      connection.run(
        `DELETE FROM ${fresh} AS own USING (${all}) AS known
         WHERE own."_seq" IS NULL AND known."_seq" IS NOT NULL AND own."id" = known."id"
           AND own."_hlc" = known."_hlc" AND own."_client_id" = known."_client_id"
           AND own."_op" = known."_op"${pulled === undefined ? SAME_COLUMNS : ""}`,
      )
    );
    if (!this.#deleted.has(table)) return;
    // A row that is dead without it needs no deletion, and one that the lake saw live or die after the
    // deletion was pulled is as the lake has it.
    await session.run((connection) =>
      connection.run(
        `DELETE FROM ${fresh} AS gone USING (
           SELECT "id", arg_max("_op", ROW("_hlc", "_client_id", "_op" = 'DELETE')) AS "#last",
             max("_commit_ts") FILTER ("_seq" IS NOT NULL) AS "#at"
           FROM (${all}) WHERE "_op" <> 'UPDATE' AND "_hlc" <> ${NO_STAMP} GROUP BY "id"
         ) AS life
         WHERE gone."_hlc" = ${NO_STAMP} AND gone."id" = life."id"
           AND (life."#last" = 'DELETE' OR life."#at" > gone."_commit_ts")`,
      )
    );
    await session.run((connection) =>
      connection.run(
        `UPDATE ${fresh} AS gone
         SET "_hlc" = last."_hlc" + 1, "_client_id" = NULL, "_commit_ts" = NULL
         FROM (SELECT "id", max("_hlc") AS "_hlc" FROM (${all}) GROUP BY "id") AS last
         WHERE gone."_hlc" = ${NO_STAMP} AND gone."id" = last."id"`,
      )
    );
  }

  async #load(session: Session, { plans, source }: FreshOptions): Promise<void> {
    const { pending, pulled, own, snapshots, asOf, signal } = source;
    const after = new Map<string, number>();
    for (const { table, scan } of plans.values()) {
      if (snapshots.has(table.name)) continue;
      const { watermark } = scan ?? {};
      // A watermark of another epoch says nothing about this log: all of it is new to the lake.
      after.set(table.name, watermark?.epoch === pending?.epoch ? watermark?.seq ?? 0 : 0);
    }
    if (after.size === 0) return;
    const add = async (entry: LoadedDelta): Promise<void> => {
      const { delta, seq } = entry;
      const from = after.get(delta.table);
      if (from === undefined || (seq !== undefined && seq <= from)) return;
      let load = this.#tables.get(delta.table);
      if (load === undefined) {
        const { table, columns } = plans.get(delta.table)!;
        load = await PendingTable.create(session, { table: pendingName(table.name), columns });
        this.#tables.set(delta.table, load);
      }
      await load.add(entry);
    };
    const addWithoutSeq = (delta: Delta) => add({ seq: undefined, at: undefined, delta });

    const wanted = new Map([...after].filter(([table]) => plans.get(table)!.table.pending));
    const options = signal === undefined ? {} : { signal };
    for await (const chunk of wanted.size === 0 ? [] : pending?.read(wanted, options) ?? []) {
      if (!chunk.ok) throw chunk.error;
      session.check();
      for (const entry of chunk.value) await add(entry);
    }
    const known = new Set<string>();
    const read = await pulled?.read(options);
    if (read?.ok === false) throw read.error;
    for (const delta of read?.value.deltas ?? []) {
      known.add(identityOf(delta));
      await addWithoutSeq(delta);
    }
    session.check();
    const reborn = new Set<string>();
    for await (const chunk of own?.read() ?? []) {
      if (!chunk.ok) throw chunk.error;
      session.check();
      for (const delta of chunk.value) {
        if (known.has(identityOf(delta))) continue;
        if (delta.op === "INSERT") reborn.add(JSON.stringify([delta.table, delta.rowId]));
        await addWithoutSeq(delta);
      }
    }
    // Of a moment in the past nobody tells yet whether they were alive.
    for (const [table, rows] of asOf === undefined ? read?.value.deleted ?? [] : []) {
      for (const [rowId, at] of rows) {
        if (reborn.has(JSON.stringify([table, rowId]))) continue;
        this.#deleted.add(table);
        // Until it has a stamp its time is that of the pull.
        await add({ seq: undefined, at, delta: deletion(table, rowId) });
      }
    }
    session.check();
    for (const load of this.#tables.values()) await load.write();
  }
}

const SAME_COLUMNS = ` AND own."_columns" IS NOT DISTINCT FROM known."_columns"`;

/** `#` is no letter of an identifier, so it hides nobody's table. */
function pendingName(table: string): string {
  return `${table}#pending`;
}

function deletion(table: string, rowId: string): Delta {
  return { op: "DELETE", table, rowId, clientId: "", columns: [], hlc: NO_STAMP, deltaId: "" };
}
