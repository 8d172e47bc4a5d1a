import type { Random } from "@lakesync/core";
import type { LocalTable } from "./_local_table.ts";
import type { AppRow, WriteSession } from "./_write_session.ts";

/** A change as data: it may be made in another place than where it is asked for. */
export type WriteOp =
  & {
    /** The table's name. */
    readonly table: string;
    /** Whether its deltas travel as one transaction. */
    readonly grouped: boolean;
    /** Whether its value is not wanted. */
    readonly quiet?: boolean;
  }
  & (
    | { readonly method: "insert" | "put"; readonly row: AppRow }
    | { readonly method: "insertMany" | "putMany"; readonly rows: readonly AppRow[] }
    | { readonly method: "update"; readonly id: string; readonly values: AppRow }
    | { readonly method: "delete"; readonly id: string }
  );

/** Where changes are made: a write session, or one that is somewhere else. */
export type WriteTarget = Pick<
  WriteSession,
  "insert" | "insertMany" | "put" | "putMany" | "update" | "delete" | "get" | "show"
>;

/** Makes a change. */
export async function applyWrite(
  session: WriteTarget,
  table: LocalTable,
  op: WriteOp,
): Promise<unknown> {
  const value = await apply(session, table, op);
  return op.quiet === true ? undefined : value;
}

function apply(session: WriteTarget, table: LocalTable, op: WriteOp): Promise<unknown> {
  switch (op.method) {
    case "insert":
    case "put":
      return session[op.method](table, op.row);
    case "insertMany":
    case "putMany":
      return session[op.method](table, op.rows, { quiet: op.quiet === true });
    case "update":
      return session.update(table, op.id, op.values);
    case "delete":
      return session.delete(table, op.id);
  }
}

/** The same change with ids for new rows that have none: made twice it is still the same. */
export function withIds(op: WriteOp, random: Random): WriteOp {
  const withId = (row: AppRow): AppRow =>
    row.id === undefined ? { ...row, id: random.uuid() } : row;
  if ("row" in op) return { ...op, row: withId(op.row) };
  return "rows" in op ? { ...op, rows: op.rows.map(withId) } : op;
}

/** The ids of the rows that a change is about. */
export function idsOf(op: WriteOp): readonly string[] {
  if ("row" in op) return [op.row.id as string];
  return "rows" in op ? op.rows.map(({ id }) => id as string) : [op.id];
}
