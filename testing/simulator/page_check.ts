/**
 * What a pull or a checkpoint brings, held item by item to the log and to section 2's table: nothing
 * may come that its reader may not see. That nothing is missing shows in the reader's database.
 */
import type { Delta, JsonValue, PageItem } from "@lakesync/core";
import type { Line, LineEntry } from "./line.ts";
import type { OracleRow } from "./oracle.ts";
import { sees, type View } from "./rules_oracle.ts";

/** What a page is held to. */
export interface PageCheckOptions {
  readonly line: Line;
  /** Where the reader stood, and where the page brings it. */
  readonly from: number;
  readonly to: number;
  readonly view: View;
  readonly clientId: string;
}

/** A row of a checkpoint, and an ENTER, as they are sent. */
export interface SentRow {
  readonly table: string;
  readonly rowId: string;
  readonly life: readonly [hlc: string, clientId: string];
  readonly columns: { readonly [column: string]: readonly [JsonValue, string, string] };
}

/** Why an item must not be in a page; undefined where it may be. */
export function itemFault(item: PageItem, options: PageCheckOptions): string | undefined {
  const { line, from, to } = options;
  const isDelta = "deltaId" in item;
  for (const last of line.transactionsIn(from, to)) {
    const entries = last.filter(({ delta }) =>
      isDelta
        ? delta.deltaId === item.deltaId
        : delta.table === item.table && delta.rowId === item.rowId
    );
    if (entries.length === 0) continue;
    const first = last[0]!.seq;
    const fault = isDelta
      ? deltaFault(item, entries[0]!, { ...options, first })
      : moveFault(item, entries[0]!, { ...options, first });
    if (fault === undefined) return undefined;
    if (isDelta) return fault;
  }
  return "no transaction on the way brings it";
}

/** Why a row must not be in a checkpoint of a seq; undefined where it may be. */
export function rowFault(
  sent: SentRow,
  { line, seq, view }: { line: Line; seq: number; view: View },
): string | undefined {
  const row = line.rowAt(sent.table, sent.rowId, seq);
  if (row === undefined) return "there is no such row";
  if (!sees(view, { table: sent.table, id: sent.rowId, row })) return "its reader may not see it";
  return isSame(sent, row) ? undefined : "the row is another one";
}

interface InTransaction extends PageCheckOptions {
  /** The seq of the transaction's first entry. */
  readonly first: number;
}

/** What a transaction made of a row, as a reader sees it. */
function move({ delta, txLast }: LineEntry, { line, view, first }: InTransaction) {
  const { table, rowId: id } = delta;
  const was = line.rowAt(table, id, first - 1);
  const is = line.rowAt(table, id, txLast);
  const saw = was !== undefined && sees(view, { table, id, row: was });
  return { was, is, saw, seesNow: is !== undefined && sees(view, { table, id, row: is }) };
}

function deltaFault(
  item: Extract<PageItem, { deltaId: string }>,
  entry: LineEntry,
  context: InTransaction,
): string | undefined {
  const { delta, txLast } = entry;
  const { was, saw, seesNow } = move(entry, context);
  if (item.txId !== delta.txId) return "it is of another transaction";
  if (!seesNow) return "its row is not visible after it";
  if (was !== undefined && !saw) return "its row was not visible before it";
  if (item.op === "OWN") {
    return delta.clientId === context.clientId ? undefined : "it is somebody else's";
  }
  const { columns, ...rest } = item as Delta;
  const { columns: all, ...should } = delta;
  for (const [name, value] of Object.entries(should)) {
    if ((rest as Record<string, unknown>)[name] !== value) return `its ${name} is another`;
  }
  const left = context.line.rowAt(delta.table, delta.rowId, txLast);
  for (const { column, value } of columns) {
    const made = all.find((one) => one.column === column);
    if (JSON.stringify(made?.value) !== JSON.stringify(value)) return `its ${column} is another`;
    const hasWon = left?.written.some((one) =>
      one.column === column && one.hlc === BigInt(delta.hlc) && one.clientId === delta.clientId
    );
    if (!hasWon) return `its ${column} has not won`;
  }
  return undefined;
}

function moveFault(
  item: Exclude<PageItem, { deltaId: string }>,
  entry: LineEntry,
  context: InTransaction,
): string | undefined {
  const { is, saw, seesNow } = move(entry, context);
  if (item.txId !== entry.delta.txId) return "it is of another transaction";
  switch (item.op) {
    case "ENTER":
      if (saw || !seesNow) return "its row does not come into sight";
      return isSame(item as unknown as SentRow, is!) ? undefined : "the row was another one then";
    case "REMOVE":
      return saw && is !== undefined && !seesNow ? undefined : "its row does not go out of sight";
    case "DELETE":
      return saw && is === undefined ? undefined : "no row in sight dies";
  }
}

function isSame({ life, columns }: SentRow, row: OracleRow): boolean {
  const sent = [
    [undefined, true, ...life],
    ...Object.entries(columns).map(([name, one]) => [name, ...one]),
  ];
  const held = row.written.map((
    { column, value, hlc, clientId },
  ) => [column, value, String(hlc), clientId]);
  const text = (list: readonly unknown[][]): string =>
    list.map((one) => JSON.stringify(one)).sort().join();
  return text(sent) === text(held);
}
