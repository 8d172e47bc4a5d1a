import { createHash, type Hash } from "node:crypto";
import {
  type Delta,
  type FlushBatch,
  type FlushOutcome,
  LakeSyncError,
  type SqlBatch,
  type SqlMerging,
  type Watermark,
} from "@lakesync/core";
import { isConcurrent, isPassing } from "./_error.ts";
import { QueryBuilder } from "./_query.ts";
import { Stage, type StageField } from "./_stage.ts";
import { MOVED, orFail } from "./_transaction.ts";
import type { BigQueryServer } from "./bigquery_server.ts";
import { bigqueryDialect } from "./dialect.ts";

const DELTA_FIELDS: readonly StageField[] = [
  { name: "n", type: "INT64" },
  { name: "table_name", type: "STRING" },
  { name: "seq", type: "INT64" },
  { name: "at", type: "INT64" },
  { name: "row_key", type: "STRING" },
  { name: "delta", type: "STRING" },
];
const STATE_FIELDS: readonly StageField[] = [
  { name: "table_name", type: "STRING" },
  { name: "row_key", type: "STRING" },
  { name: "state", type: "STRING" },
];

/** What a commit fails with where the head has no row. */
const NO_HEAD = "lakesync: the head is gone";

/** What a table's part has come to. */
interface Part {
  readonly from: Watermark | undefined;
  deltas: number;
  chars: number;
}

/** What an insert works with. */
export interface InsertOptions {
  readonly server: BigQueryServer;
  readonly inserted: SqlBatch;
  readonly signal: AbortSignal;
}

/**
 * Inserts a batch with as many jobs as it takes for one delta: the deltas are loaded beside the
 * tables, read back row by row with the states that there are, merged, the states loaded too; and
 * one query takes both in, with the watermarks, if these are still what they were.
 */
export async function insertBatch(
  options: InsertOptions,
): Promise<ReadonlyMap<string, FlushOutcome>> {
  const { server, inserted, signal } = options;
  const { client, jobs, clock } = server;
  const { batch } = inserted;
  const outcomes = new Map<string, FlushOutcome>();
  const parts = new Map<string, Part>();
  const known = await inserted.watermarks([...batch.tables.keys()]);
  for (const [table, { from }] of batch.tables) {
    const mark = known.get(table);
    if (!isSame(mark, from)) outcomes.set(table, { status: "moved", watermark: mark });
    else {
      outcomes.set(table, { status: "empty" });
      parts.set(table, { from, deltas: 0, chars: 0 });
    }
  }
  if (parts.size === 0) return outcomes;
  const make = (fields: readonly StageField[]) =>
    new Stage({ client, jobs, clock, signal, fields });
  const [deltas, states] = [make(DELTA_FIELDS), make(STATE_FIELDS)];
  try {
    const content = createHash("sha256");
    await stageDeltas(deltas, { inserted, parts, content });
    let places = 0;
    for (const [table, { deltas }] of parts) {
      places += deltas;
      if (deltas === 0) parts.delete(table);
    }
    if (parts.size === 0) return outcomes;
    await deltas.load();
    await stageStates(states, { ...options, deltas });
    await states.load();
    const digest = content.digest("hex");
    for (let left = parts; left.size > 0;) {
      const script = commitQuery({
        batch,
        logHash: inserted.logHash,
        parts: left,
        places,
        deltas: deltas.table,
        states: states.table,
      });
      const done = await commit(script, { ...options, parts: left, digest });
      const now = done ? undefined : await inserted.watermarks([...left.keys()]);
      const rest = new Map<string, Part>();
      for (const [table, part] of left) {
        const mark = now?.get(table);
        if (done) {
          const { deltas, chars } = part;
          outcomes.set(table, { status: "committed", deltas, objects: 0, bytes: chars });
        } else if (isSame(mark, part.from)) rest.set(table, part);
        else outcomes.set(table, { status: "moved", watermark: mark });
      }
      left = rest;
    }
    return outcomes;
  } finally {
    await deltas.drop();
    await states.drop();
  }
}

function isSame(one: Watermark | undefined, two: Watermark | undefined): boolean {
  return one?.epoch === two?.epoch && one?.seq === two?.seq;
}

async function stageDeltas(
  stage: Stage,
  options: { inserted: SqlBatch; parts: Map<string, Part>; content: Hash },
): Promise<void> {
  const { inserted, parts, content } = options;
  const { batch } = inserted;
  const key = bigqueryDialect.column("key");
  let n = 0;
  for await (const chunk of batch.entries) {
    batch.signal?.throwIfAborted();
    for (const { seq, at, delta } of chunk) {
      const part = parts.get(delta.table);
      const after = part?.from?.epoch === batch.to.epoch ? part.from.seq : 0;
      if (part === undefined || seq <= after) continue;
      const text = JSON.stringify(delta);
      part.deltas++;
      part.chars += text.length;
      const line = JSON.stringify({
        n: String(++n),
        table_name: delta.table,
        seq: String(seq),
        at: String(at),
        row_key: key.encode(inserted.key(delta)),
        delta: text,
      }) + "\n";
      content.update(line);
      await stage.write(line);
    }
  }
}

/** Merges the staged deltas into the states that there are, row by row, into a stage of their own. */
async function stageStates(
  stage: Stage,
  options: InsertOptions & { deltas: Stage },
): Promise<void> {
  const { deltas, server, inserted, signal } = options;
  const query = new QueryBuilder().add(
    `SELECT s.row_key, s.table_name, s.delta,
      IF(ROW_NUMBER() OVER (PARTITION BY s.row_key ORDER BY s.n) = 1, r.state, NULL) AS state
    FROM \`${deltas.table}\` AS s LEFT JOIN lakesync_rows AS r ON r.row_key = s.row_key
    ORDER BY s.row_key, s.n`,
  ).build();
  let row: { row_key: string; table_name: string; merging: SqlMerging } | undefined;
  const write = async () => {
    if (row === undefined) return;
    const { merging, ...named } = row;
    await stage.write(JSON.stringify({ ...named, state: merging.text() }) + "\n");
  };
  for await (const page of server.jobs.select(query, { signal })) {
    for (const [row_key, table_name, text, state] of page) {
      const delta = JSON.parse(text!) as Delta;
      if (row?.row_key !== row_key) {
        await write();
        const merging = inserted.merging(delta, state ?? undefined);
        row = { row_key: row_key!, table_name: table_name!, merging };
      }
      row!.merging.merge(delta);
    }
  }
  await write();
}

function commitQuery(
  options: {
    batch: FlushBatch;
    logHash: string | null;
    parts: ReadonlyMap<string, Part>;
    /** How many places the staged deltas take. */
    places: number;
    deltas: string;
    states: string;
  },
) {
  const { batch, logHash, parts, places, deltas, states } = options;
  const names = JSON.stringify([...parts.keys()]);
  const froms: string[] = [];
  for (const [table, part] of parts) {
    if (part.from !== undefined) froms.push(`${table}/${part.from.epoch}/${part.from.seq}`);
  }
  const tables = "SELECT COUNT(*) FROM lakesync_tables WHERE";
  const mark = "CONCAT(table_name, '/', epoch, '/', CAST(seq AS STRING))";
  const head = "SELECT value FROM lakesync_head WHERE name = 'pos'";
  const to = [batch.to.epoch, batch.to.seq, logHash];
  return new QueryBuilder()
    .add("BEGIN TRANSACTION;\n")
    // First: from here on no other transaction that writes deltas can commit before this one.
    .add("UPDATE lakesync_head SET value = value + ? WHERE name = 'pos';\n", [places])
    .add(`${orFail(`(${head}) IS NOT NULL`, NO_HEAD)};\n`)
    .add(`${orFail(`(${tables} table_name IN UNNEST(?)) = ?`, MOVED)};\n`, [names, froms.length])
    .add(`${orFail(`(${tables} ${mark} IN UNNEST(?)) = ?`, MOVED)};\n`, [
      JSON.stringify(froms),
      froms.length,
    ])
    .add(
      "INSERT INTO lakesync_deltas (pos, table_name, seq, `at`, row_key, delta) " +
        `SELECT (${head}) - ? + s.n, s.table_name, s.seq, s.at, s.row_key, s.delta ` +
        `FROM \`${deltas}\` AS s WHERE s.table_name IN UNNEST(?);\n`,
      [places, names],
    )
    .add(
      "MERGE INTO lakesync_rows AS t USING " +
        `(SELECT row_key, state FROM \`${states}\` WHERE table_name IN UNNEST(?)) AS s ` +
        "ON t.row_key = s.row_key WHEN MATCHED THEN UPDATE SET state = s.state " +
        "WHEN NOT MATCHED THEN INSERT (row_key, state) VALUES (s.row_key, s.state);\n",
      [names],
    )
    .add(
      "MERGE INTO lakesync_tables AS t USING " +
        "(SELECT table_name FROM UNNEST(?) AS table_name) AS s ON t.table_name = s.table_name " +
        "WHEN MATCHED THEN UPDATE SET epoch = ?, seq = ?, log_hash = CAST(? AS STRING) " +
        "WHEN NOT MATCHED THEN INSERT (table_name, epoch, seq, done, log_hash) " +
        "VALUES (s.table_name, ?, ?, 0, CAST(? AS STRING));\n",
      [names, ...to, ...to],
    )
    .add("COMMIT TRANSACTION;")
    .build();
}

/**
 * Runs the commit. Its job is named for what it commits: a call that comes again, in this process or
 * in the next one, finds the job under way and takes its outcome. False where a watermark has moved.
 */
async function commit(
  script: ReturnType<typeof commitQuery>,
  options: InsertOptions & { parts: ReadonlyMap<string, Part>; digest: string },
): Promise<boolean> {
  const { server, inserted, parts, digest, signal } = options;
  const { client, jobs, place } = server;
  const { batch } = inserted;
  const froms = Array.from(parts, ([table, { from }]) => [table, from?.epoch, from?.seq]);
  const name = createHash("sha256")
    .update(JSON.stringify([place, batch.id, batch.to, froms, digest])).digest("hex");
  let id = `lakesync_batch_${name}`;
  for (let attempt = 1;;) {
    const { fault, found } = await jobs.run(script, { id, signal });
    id = jobs.newId();
    if (fault === undefined) {
      if (!found) return true;
      // One that was there may be of a dataset that was since made anew.
      const now = await inserted.watermarks([...parts.keys()]);
      if ([...parts.keys()].every((table) => isSame(now.get(table), batch.to))) return true;
      continue;
    }
    // What an earlier call failed with says nothing about this one.
    if (found) continue;
    if (fault.message.includes(MOVED)) return false;
    if (fault.message.includes(NO_HEAD)) {
      throw new LakeSyncError(
        "CORRUPT",
        `The head of ${place} is gone from "lakesync_head": restore a snapshot or begin with a new dataset`,
      );
    }
    const tries = isConcurrent(fault) ? 4 * client.attempts : client.attempts;
    if (attempt >= tries || !isPassing(fault)) throw jobs.error(fault);
    await client.wait(attempt++, signal);
  }
}
