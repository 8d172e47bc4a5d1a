import { LakeSyncError } from "@lakesync/core";
import type { PgClient } from "./postgres_driver.ts";
import { settled } from "./postgres_pools.ts";
import { damagedError } from "./postgres_error.ts";

/** The layout below. */
const FORMAT = 1;

/** Every text that is compared or ordered goes by its bytes. */
const TEXT = `text COLLATE "C"`;

/** The tables of a log. (`clock_given` may be lost in a crash: see postgres_clock.ts.) */
const tables = (s: string) => `
  CREATE TABLE ${s}.head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL DEFAULT 0, hash bigint NOT NULL DEFAULT 0, at bigint NOT NULL DEFAULT 0,
    trimmed_seq bigint NOT NULL DEFAULT 0, trimmed_hash bigint NOT NULL DEFAULT 0,
    purged_hlc text, purged_client text
  ) WITH (fillfactor = 10);
  CREATE TABLE ${s}.log (
    seq bigint PRIMARY KEY, hash bigint NOT NULL, at bigint NOT NULL, tx_last bigint NOT NULL,
    pusher ${TEXT} NOT NULL, client_id ${TEXT} NOT NULL, hlc bigint NOT NULL,
    delta_id bytea NOT NULL, tbl ${TEXT} NOT NULL, row_id ${TEXT} NOT NULL, json text NOT NULL,
    effect text NOT NULL
  );
  CREATE INDEX log_stamp ON ${s}.log (client_id, hlc);
  CREATE INDEX log_table ON ${s}.log (tbl, seq);
  CREATE TABLE ${s}.log_keys (key ${TEXT}, seq bigint, PRIMARY KEY (key, seq));
  CREATE INDEX log_keys_seq ON ${s}.log_keys (seq);
  CREATE TABLE ${s}.last_push (
    client_id ${TEXT}, hlc bigint, delta_id bytea, seq bigint NOT NULL, pusher ${TEXT} NOT NULL,
    PRIMARY KEY (client_id, hlc, delta_id)
  );
  CREATE TABLE ${s}.rows (
    tbl ${TEXT}, row_id ${TEXT}, alive boolean, seq bigint NOT NULL, state text NOT NULL,
    PRIMARY KEY (tbl, row_id)
  ) WITH (fillfactor = 80);
  CREATE TABLE ${s}.clients (
    client_id ${TEXT} PRIMARY KEY, greatest bigint, last_push_from bigint
  ) WITH (fillfactor = 50);
  CREATE TABLE ${s}.tables (name ${TEXT} PRIMARY KEY, visible bigint NOT NULL) WITH (fillfactor = 50);
  CREATE TABLE ${s}.kv (key ${TEXT} PRIMARY KEY, value text NOT NULL);
  CREATE TABLE ${s}.leases (name ${TEXT} PRIMARY KEY, holder text NOT NULL, until bigint NOT NULL);
  CREATE TABLE ${s}.clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), ceiling bigint NOT NULL DEFAULT 0
  );
  CREATE UNLOGGED TABLE ${s}.clock_given (one boolean PRIMARY KEY, at bigint NOT NULL)
    WITH (fillfactor = 10);
  CREATE TABLE ${s}.lakesync (format integer NOT NULL, epoch text NOT NULL);
  INSERT INTO ${s}.head DEFAULT VALUES;
  INSERT INTO ${s}.clock DEFAULT VALUES;
`;

/** Which log is opened. */
export interface SchemaOptions {
  /** Its schema. */
  readonly schema: string;
  /** The same, quoted. */
  readonly quoted: string;
  /** Names the log in messages. */
  readonly log: string;
  /** The epoch that a new one gets. */
  readonly epoch: string;
}

/**
 * Makes a log's tables where its schema is new or empty, else sees that they are a log's. Of several
 * instances that open it at once, one makes them.
 *
 * @param client A connection.
 * @param options Which log.
 * @returns Its epoch.
 * @throws {LakeSyncError} `CORRUPT` where it is damaged, newer or something else.
 */
export async function openSchema(client: PgClient, options: SchemaOptions): Promise<string> {
  const { schema, quoted, log } = options;
  const [, , { rows: [facts] }] = await settled([
    client.query({ text: "BEGIN ISOLATION LEVEL READ COMMITTED" }),
    client.query({
      text: "SELECT pg_advisory_xact_lock(hashtextextended('lakesync:' || $1, 0))",
      values: [schema],
    }),
    client.query({
      text: `SELECT n.oid, count(c.oid) AS relations,
          count(*) FILTER (WHERE c.relname = 'lakesync') AS marked
        FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid
        WHERE n.nspname = $1 GROUP BY n.oid`,
      values: [schema],
    }),
  ]);
  let { epoch } = options;
  if (facts === undefined || facts["relations"] === "0") {
    // A schema that an administrator has made needs no right to make one.
    if (facts === undefined) await client.query({ text: `CREATE SCHEMA ${quoted}` });
    await client.query({ text: tables(quoted) });
    await client.query({
      text: `INSERT INTO ${quoted}.lakesync VALUES ($1, $2)`,
      values: [FORMAT, epoch],
    });
  } else if (facts["marked"] === "0") {
    throw damagedError(log, "the schema has tables of something else");
  } else {
    epoch = await checkLog(client, options);
  }
  await client.query({ text: "COMMIT" });
  return epoch;
}

/** Sees that a log is one, of this format, and that its head and its entries belong together. */
async function checkLog(client: PgClient, { quoted: s, log }: SchemaOptions): Promise<string> {
  const { rows: [mark] } = await client.query({ text: `SELECT format, epoch FROM ${s}.lakesync` });
  const format = Number(mark?.["format"]);
  if (mark === undefined || !(format >= 1)) throw damagedError(log, "it is damaged (no format)");
  if (format > FORMAT) {
    throw new LakeSyncError(
      "CORRUPT",
      `Cannot open the log ${log}: its format is ${format} and this version knows ${FORMAT}. It was left as it is; start a newer version of LakeSync`,
    );
  }
  const { rows: [facts] } = await client.query({
    text: `SELECT h.seq AS head,
        h.seq = coalesce(l.seq, h.trimmed_seq) AND h.hash = coalesce(l.hash, h.trimmed_hash) AS whole,
        (SELECT count(*) FROM ${s}.clock) AS clocks
      FROM ${s}.head h
      LEFT JOIN (SELECT seq, hash FROM ${s}.log ORDER BY seq DESC LIMIT 1) l ON true`,
  });
  if (facts === undefined || facts["clocks"] !== "1") {
    throw damagedError(log, "it is damaged (its head is missing)");
  }
  if (facts["whole"] !== "t") {
    throw damagedError(log, `it is damaged (its head is ${facts["head"]}, its last entry is not)`);
  }
  return mark["epoch"]!;
}
