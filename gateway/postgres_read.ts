import { err, type LogEntry, ok, type ReadLogOptions, type Result } from "@lakesync/core";
import type { PgClient, PgRow } from "./postgres_driver.ts";
import { toEntry } from "./postgres_entry.ts";
import { storedKey } from "./postgres_keys.ts";
import type { PostgresStatements } from "./postgres_statements.ts";
import { trimmedError } from "./store_error.ts";
import { tableOfKey } from "./table_key.ts";

/** The most entries that one statement reads. */
const PAGE = 2_000;
/** The least that is looked at of one key's entries at a time, where there are several keys. */
const MIN_RUN = 16;

/** What one statement reads. */
interface PageRequest {
  readonly after: number;
  readonly through: number;
  readonly limit: number;
  /** It ends after the entry with which the JSON reaches so many bytes. */
  readonly bytes: number;
  readonly keys: readonly string[] | undefined;
}

/** What it has read. */
interface Page {
  /** Where the log begins. */
  readonly trimmed: number;
  /** How far it has looked: nothing up to there is missing. Infinity at the head. */
  readonly reached: number;
  readonly rows: readonly PgRow[];
}

/**
 * Reads entries, a page at a time, so that neither side has more at once than it gives.
 *
 * @returns The entries; `CHECKPOINT_REQUIRED` where some of them are trimmed.
 */
export async function readLog(
  client: PgClient,
  statements: PostgresStatements,
  request: ReadLogOptions & { readonly after: number },
): Promise<Result<readonly LogEntry[]>> {
  const { limit, maxChars = 8_388_608, keys } = request;
  const through = Math.min(request.through ?? Infinity, Number.MAX_SAFE_INTEGER);
  const entries: LogEntry[] = [];
  let chars = 0;
  for (let { after } = request; after < through;) {
    const page = await readPage(client, statements, {
      after,
      through,
      limit: Math.min(limit - entries.length, PAGE),
      // No text has more characters than bytes: it may be that another page has to follow.
      bytes: maxChars - chars,
      keys,
    });
    if (after < page.trimmed) {
      if (after === request.after) return err(trimmedError(after, page.trimmed));
      // Trimmed meanwhile: what is read already is in order and without a gap.
      break;
    }
    for (const row of page.rows) {
      const entry = toEntry(row);
      entries.push(entry);
      chars += entry.json.length;
      if (entries.length >= limit || chars >= maxChars) return ok(entries);
    }
    after = page.reached;
  }
  return ok(entries);
}

async function readPage(
  client: PgClient,
  statements: PostgresStatements,
  { after, through, limit, bytes, keys }: PageRequest,
): Promise<Page> {
  const bounds = [after, through, limit, bytes];
  const { rows } = keys === undefined
    ? await client.query({ ...statements.read, values: bounds })
    : await client.query({ ...statements.readKeys, values: [...bounds, ...keyLists(keys, limit)] });
  const { head, trimmed_seq: trimmed, horizon } = rows[0]!;
  const found = rows.filter(({ seq }) => seq !== null);
  const last = found.at(-1);
  const cut = last !== undefined && (found.length >= limit || Number(last["total"]) >= bytes);
  const reached = cut ? Number(last["seq"]) : Number(horizon ?? through);
  return {
    trimmed: Number(trimmed),
    reached: reached >= Number(head) ? Infinity : reached,
    rows: found,
  };
}

/** The keys, the tables among them, and how many entries of each are looked at. */
function keyLists(keys: readonly string[], limit: number): [string[], string[], number] {
  const others: string[] = [];
  const tables: string[] = [];
  for (const key of new Set(keys)) {
    const table = tableOfKey(key);
    if (table === undefined) others.push(storedKey(key));
    else tables.push(table);
  }
  const count = others.length + tables.length;
  return [others, tables, count < 2 ? limit : Math.max(MIN_RUN, Math.ceil(2 * limit / count))];
}
