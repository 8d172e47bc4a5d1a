import type { Delta, ErrorCode, SqlRow, SqlValue } from "@lakesync/core";
import { decodeBase } from "./_base.ts";
import { INTERNAL_PREFIX, quote } from "./_local_table.ts";
import { seqFromSql } from "./_log_seq.ts";
import { OwnState } from "./_own.ts";
import type { OwnDelta, OwnDeltaState, RowFacts, SyncFacts } from "./inspect.ts";

/** A statement and its values. */
type Query = readonly [sql: string, params: readonly SqlValue[]];

const STATES: ReadonlyMap<SqlValue, OwnDeltaState> = new Map<SqlValue, OwnDeltaState>([
  [OwnState.UNSENT, "unsent"],
  [OwnState.FLYING, "flying"],
  [OwnState.SENT, "sent"],
  [OwnState.ACCEPTED, "accepted"],
  [OwnState.SETTLED, "settled"],
]);

const OWN = "ord, state, tries, seq, at, bytes, json FROM lakesync_own";

/** The newest own deltas; with `pending` those that are not acknowledged, oldest first. */
export function selectOwn(options: { pending: boolean; limit: number }): Query {
  const { pending, limit } = options;
  return [
    pending
      ? `SELECT ${OWN} WHERE state < 4 AND state < 3 ORDER BY ord LIMIT ?`
      : `SELECT ${OWN} ORDER BY ord DESC LIMIT ?`,
    [limit],
  ];
}

/** A delta out of {@linkcode selectOwn}. */
export function ownDelta({ ord, state, tries, seq, at, bytes, json }: SqlRow): OwnDelta {
  return {
    ord: ord as number,
    delta: JSON.parse(json as string) as Delta,
    state: STATES.get(state!)!,
    tries: tries as number,
    bytes: bytes as number,
    seq: seq === null ? undefined : seqFromSql(seq!),
    at: at as number | null ?? undefined,
  };
}

/** All that is known of rows, in one statement, so that it is of one moment. */
export function selectFacts(
  table: string,
  ids: readonly string[],
  options: { history: boolean },
): Query {
  const list = JSON.stringify(ids);
  const base = quote(`${INTERNAL_PREFIX}base_${table}`);
  const none = "NULL AS seq, NULL AS at, NULL AS bytes";
  const parts: Query[] = [
    [
      `SELECT j.key AS i, 0 AS ord, 'base' AS state, 0 AS tries, ${none}, b.state AS json, NULL AS said
       FROM json_each(?) j CROSS JOIN ${base} b ON b.id = j.value`,
      [list],
    ],
    [
      `SELECT j.key, o.ord, o.state, o.tries, o.seq, o.at, o.bytes, o.json, NULL
       FROM json_each(?) j CROSS JOIN lakesync_own o
       ON o.tbl = ? AND o.row_id = j.value AND o.state < 4`,
      [list, table],
    ],
  ];
  if (options.history) {
    parts.push([
      `SELECT j.key, o.ord, o.state, o.tries, o.seq, o.at, o.bytes, o.json, NULL
       FROM json_each(?) j CROSS JOIN lakesync_own o
       ON o.tbl = ? AND o.row_id = j.value AND o.state = ${OwnState.SETTLED}`,
      [list, table],
    ], [
      `SELECT j.key, r.ord, r.code, 0, NULL, r.at, NULL, r.json, r.message
       FROM json_each(?) j CROSS JOIN lakesync_rejected r
       ON json_extract(r.json, '$.table') = ? AND json_extract(r.json, '$.rowId') = j.value`,
      [list, table],
    ]);
  }
  return [
    `${parts.map(([sql]) => sql).join(" UNION ALL ")} ORDER BY ord`,
    parts.flatMap(([, params]) => params),
  ];
}

/** What {@linkcode selectFacts} gives, for each id in its order. */
export function factsOf(ids: readonly string[], rows: readonly SqlRow[]): RowFacts[] {
  const facts = ids.map((id) => ({
    id,
    base: undefined as RowFacts["base"],
    own: [] as OwnDelta[],
    rejected: [] as RowFacts["rejected"][number][],
  }));
  for (const row of rows) {
    const of = facts[row.i as number]!;
    if (row.state === "base") of.base = decodeBase(row.json as string);
    else if (row.said === null) of.own.push(ownDelta(row));
    else {
      of.rejected.push({
        delta: JSON.parse(row.json as string) as Delta,
        code: row.state as ErrorCode,
        message: row.said as string,
        at: row.at as number,
      });
    }
  }
  return facts;
}

/** What {@linkcode syncFacts} is made of. */
export const SELECT_SYNC: string = `SELECT cursor, s.seq, s.hlc, s.offset_ms, s.due,
    (SELECT max(ord) FROM lakesync_own) AS last,
    (SELECT count(*) FROM lakesync_own WHERE state = ${OwnState.SETTLED}) AS settled,
    (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS bytes
  FROM lakesync_state s`;

/** How sync stands, out of {@linkcode SELECT_SYNC}. */
export function syncFacts(row: SqlRow): SyncFacts {
  return {
    cursor: row.cursor as string,
    seq: seqFromSql(row.seq!),
    greatest: row.hlc as string | null ?? undefined,
    offsetMs: row.offset_ms as number,
    checkpointDue: row.due !== 0,
    lastOrd: row.last as number | null ?? 0,
    settled: row.settled as number,
    databaseBytes: Number(row.bytes),
  };
}
