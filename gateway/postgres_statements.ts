import type { Statement } from "./postgres_driver.ts";

/** A time in ms: `$1` where a test gives it, else the database's. */
const TIME = "coalesce($1::bigint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)";

/** A list of JSON texts, which have no newline, as one text: nothing in it has to be escaped. */
const lines = (parameter: string) => `string_to_array(${parameter}::text, E'\\n')`;

/** What an entry of the log is read as. */
const ENTRY = `l.seq, l.hash, l.at, l.tx_last, l.client_id, l.tbl, l.row_id, l.json, l.effect`;

// Names are unique within the process: stores of several schemas share connections.
let made = 0;

/** The statements of one log. */
export type PostgresStatements = { readonly [Name in keyof ReturnType<typeof texts>]: Statement };

/**
 * The statements of a log.
 *
 * @param schema Its schema, quoted.
 */
export function postgresStatements(schema: string): PostgresStatements {
  const serial = made++;
  return Object.fromEntries(
    Object.entries(texts(schema)).map(([name, text]) => [
      name,
      { name: `lakesync_${serial}_${name}`, text },
    ]),
  ) as PostgresStatements;
}

/** The texts by name. Lists come as arrays, so that none has more than a few parameters. */
function texts(s: string) {
  return {
    // --- time: see postgres_clock.ts
    tick: `
      UPDATE ${s}.clock_given SET at = greatest(at, ${TIME})
      WHERE greatest(at, ${TIME}) <= (SELECT ceiling FROM ${s}.clock) RETURNING at`,
    raise: `
      WITH c AS (SELECT ceiling FROM ${s}.clock FOR UPDATE),
        v AS (SELECT greatest(
          coalesce((SELECT at FROM ${s}.clock_given), (SELECT ceiling FROM c)), ${TIME}) AS at),
        u AS (UPDATE ${s}.clock SET ceiling = greatest(clock.ceiling, v.at + 1000) FROM v)
      INSERT INTO ${s}.clock_given SELECT true, at FROM v
      ON CONFLICT (one) DO UPDATE SET at = greatest(clock_given.at, excluded.at) RETURNING at`,

    // --- append
    lock: `
      SELECT seq, hash, at, trimmed_seq, purged_hlc, purged_client FROM ${s}.head FOR UPDATE`,
    duplicates: `
      SELECT d.i, coalesce(l.seq, p.seq) AS seq
      FROM unnest($1::text[], $2::bigint[], $3::text[])
        WITH ORDINALITY AS d (client_id, hlc, delta_id, i)
      JOIN ${s}.clients c ON c.client_id = d.client_id AND c.greatest >= d.hlc
      LEFT JOIN ${s}.log l ON l.client_id = d.client_id AND l.hlc = d.hlc
        AND l.delta_id = decode(d.delta_id, 'hex')
      LEFT JOIN ${s}.last_push p ON p.client_id = d.client_id AND p.hlc = d.hlc
        AND p.delta_id = decode(d.delta_id, 'hex')
      WHERE coalesce(l.seq, p.seq) IS NOT NULL`,
    // States only where all of them together are no more than $3 bytes.
    rows: `
      SELECT i, CASE WHEN sum(octet_length(state)) OVER () <= $3::bigint THEN state END AS state
      FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (tbl, row_id, i)
      JOIN ${s}.rows r ON r.tbl = k.tbl AND r.row_id = k.row_id`,
    values: `SELECT key, value FROM ${s}.kv WHERE key = ANY ($1::text[])`,
    insertLog: `
      INSERT INTO ${s}.log
      SELECT $1::bigint + e.i, e.hash, $2, e.tx_last, e.pusher, e.client_id, e.hlc,
        decode(e.delta_id, 'hex'), e.tbl, e.row_id, e.json, e.effect
      FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[],
        $9::text[], $10::text[], ${lines("$11")}, ${lines("$12")})
        WITH ORDINALITY
        AS e (hash, tx_last, pusher, client_id, hlc, delta_id, tbl, row_id, json, effect, i)`,
    insertKeys: `INSERT INTO ${s}.log_keys SELECT * FROM unnest($1::text[], $2::bigint[])`,
    upsertRows: `
      INSERT INTO ${s}.rows
      SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[], ${lines("$5")})
      ON CONFLICT (tbl, row_id) DO UPDATE
      SET alive = excluded.alive, seq = excluded.seq, state = excluded.state`,
    upsertClients: `
      INSERT INTO ${s}.clients SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
      ON CONFLICT (client_id) DO UPDATE
      SET greatest = greatest(clients.greatest, excluded.greatest),
        last_push_from = coalesce(excluded.last_push_from, clients.last_push_from)`,
    upsertTables: `
      INSERT INTO ${s}.tables SELECT * FROM unnest($1::text[], $2::bigint[])
      ON CONFLICT (name) DO UPDATE SET visible = tables.visible + excluded.visible`,
    putValues: `
      INSERT INTO ${s}.kv SELECT * FROM unnest($1::text[], $2::text[])
      ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    deleteValues: `DELETE FROM ${s}.kv WHERE key = ANY ($1::text[])`,
    setHead: `UPDATE ${s}.head SET seq = $1, hash = $2, at = $3`,
    notify: `SELECT pg_notify($1, '')`,

    // --- read
    head: `SELECT seq, hash FROM ${s}.head`,
    read: `
      SELECT h.trimmed_seq, h.seq AS head, e.*
      FROM ${s}.head h LEFT JOIN LATERAL (
        SELECT * FROM (
          SELECT ${ENTRY}, octet_length(l.json) AS bytes,
            sum(octet_length(l.json)) OVER (ORDER BY l.seq ROWS UNBOUNDED PRECEDING) AS total
          FROM ${s}.log l WHERE l.seq > $1::bigint AND l.seq <= $2::bigint
          ORDER BY l.seq LIMIT $3
        ) t WHERE total - bytes < $4::bigint
      ) e ON true ORDER BY e.seq`,
    // Of each key so many entries are looked at; up to the horizon all keys are known.
    readKeys: `
      WITH found AS MATERIALIZED (
        SELECT k.key, x.seq FROM unnest($5::text[]) AS k (key) CROSS JOIN LATERAL (
          SELECT i.seq FROM ${s}.log_keys i
          WHERE i.key = k.key AND i.seq > $1::bigint AND i.seq <= $2::bigint
          ORDER BY i.seq LIMIT $7::bigint) x
        UNION ALL
        SELECT t.name, x.seq FROM unnest($6::text[]) AS t (name) CROSS JOIN LATERAL (
          SELECT i.seq FROM ${s}.log i
          WHERE i.tbl = t.name AND i.seq > $1::bigint AND i.seq <= $2::bigint
          ORDER BY i.seq LIMIT $7::bigint) x
      ),
      horizon AS (
        SELECT least($2::bigint, min(last)) AS seq FROM (
          SELECT max(seq) AS last FROM found GROUP BY key HAVING count(*) >= $7::bigint) runs
      )
      SELECT h.trimmed_seq, h.seq AS head, z.seq AS horizon, e.*
      FROM ${s}.head h CROSS JOIN horizon z LEFT JOIN LATERAL (
        SELECT * FROM (
          SELECT ${ENTRY}, octet_length(l.json) AS bytes,
            sum(octet_length(l.json)) OVER (ORDER BY l.seq ROWS UNBOUNDED PRECEDING) AS total
          FROM (SELECT DISTINCT seq FROM found WHERE seq <= z.seq ORDER BY seq LIMIT $3) f
          JOIN ${s}.log l ON l.seq = f.seq
        ) t WHERE total - bytes < $4::bigint
      ) e ON true ORDER BY e.seq`,
    hashAt: `
      SELECT hash FROM ${s}.log WHERE seq = $1
      UNION ALL SELECT trimmed_hash FROM ${s}.head WHERE trimmed_seq = $1 LIMIT 1`,
    // "at" never falls from entry to entry, so the place is found by halving.
    seqBefore: `
      WITH RECURSIVE halving (low, high) AS (
        SELECT trimmed_seq, seq FROM ${s}.head
        UNION ALL
        SELECT CASE WHEN l.at < $1 THEN l.seq ELSE low END,
          CASE WHEN l.at < $1 THEN high ELSE l.seq - 1 END
        FROM halving JOIN ${s}.log l ON l.seq = (low + high + 1) / 2 WHERE low < high
      ) SELECT low AS seq FROM halving WHERE low = high`,
    stats: `
      SELECT seq, trimmed_seq,
        (SELECT count(*) FROM ${s}.clients WHERE last_push_from IS NOT NULL) AS clients
      FROM ${s}.head`,
    tables: `SELECT name, visible FROM ${s}.tables ORDER BY name`,
    getValue: `SELECT value FROM ${s}.kv WHERE key = $1`,

    // --- leases, by the database's clock as it is
    takeLease: `
      INSERT INTO ${s}.leases AS l SELECT $2, $3, ${TIME} + $4::bigint
      ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
      WHERE l.holder = excluded.holder OR l.until <= ${TIME} RETURNING 1`,
    dropLease: `DELETE FROM ${s}.leases WHERE name = $1 AND holder = $2`,

    // --- snapshot
    snapshotRows: `
      SELECT row_id, state FROM (
        SELECT row_id, state, octet_length(state) AS bytes,
          sum(octet_length(state)) OVER (ORDER BY row_id ROWS UNBOUNDED PRECEDING) AS total
        FROM (
          SELECT row_id, state FROM ${s}.rows WHERE tbl = $1 AND row_id > $2
          ORDER BY row_id LIMIT $3
        ) r
      ) t WHERE total - bytes < $4::bigint ORDER BY row_id`,

    // --- trim
    trimEnd: `
      SELECT seq, hash FROM ${s}.log
      WHERE seq = tx_last AND seq > (SELECT trimmed_seq FROM ${s}.head) AND seq <= $1
      ORDER BY seq DESC LIMIT 1`,
    nextTxEnd: `
      SELECT seq, hash FROM ${s}.log
      WHERE seq = (SELECT l.tx_last FROM ${s}.log l WHERE l.seq > $1 ORDER BY l.seq LIMIT 1)`,
    keepLastPushes: `
      INSERT INTO ${s}.last_push
      SELECT l.client_id, l.hlc, l.delta_id, l.seq, l.pusher
      FROM ${s}.log l JOIN ${s}.clients c ON c.client_id = l.pusher
      WHERE l.seq > $1 AND l.seq <= $2 AND l.seq >= c.last_push_from`,
    dropOldPushes: `
      DELETE FROM ${s}.last_push p USING ${s}.clients c
      WHERE c.client_id = p.pusher AND p.seq < c.last_push_from`,
    goneRows: `
      SELECT r.tbl, r.row_id, r.state FROM (
        SELECT DISTINCT tbl, row_id FROM ${s}.log WHERE seq > $1 AND seq <= $2
      ) l JOIN ${s}.rows r ON r.tbl = l.tbl AND r.row_id = l.row_id
      WHERE r.alive IS NOT TRUE AND r.seq <= $2`,
    deleteRows: `
      DELETE FROM ${s}.rows r USING unnest($1::text[], $2::text[]) AS k (tbl, row_id)
      WHERE r.tbl = k.tbl AND r.row_id = k.row_id`,
    deleteKeys: `DELETE FROM ${s}.log_keys WHERE seq <= $1`,
    deleteLog: `DELETE FROM ${s}.log WHERE seq <= $1`,
    setTrimmed: `
      UPDATE ${s}.head
      SET trimmed_seq = $1, trimmed_hash = $2, purged_hlc = $3, purged_client = $4`,
  };
}
