import { Readable } from "node:stream"; import { Buffer } from "node:buffer";
import { findMariadb, startMariadb } from "./mariadb_server.ts";
import mysql from "mysql2";
const { programs } = await findMariadb();
await using server = await startMariadb({ programs: programs!, fsync: true });
const c = mysql.createConnection({ uri: server.url }).promise();
await c.query("CREATE DATABASE d"); await c.query("USE d");
const [[p]] = await c.query("select @@max_allowed_packet, @@character_set_connection, version()") as any; console.log(p);
const N = 20000;
const id = () => crypto.randomUUID();
const rows: (string|number)[][] = [];
for (let i = 0; i < N; i++) { const r = id(); rows.push([i, "todos", i, 1700000000000 + i, r, JSON.stringify({ op: "INSERT", table: "todos", rowId: r, clientId: "user:phone", hlc: "111411200000000" + i, columns: [{ column: "title", value: "Milk " + i }, { column: "done", value: false }], deltaId: "a".repeat(64) })]); }
async function fresh() { await c.query("DROP TABLE IF EXISTS t"); await c.query("CREATE TABLE t (pos bigint primary key, tn varbinary(64), seq bigint, at bigint, row_id varbinary(256), delta longtext character set utf8mb4 collate utf8mb4_bin)"); }
for (let round = 0; round < 3; round++) {
  await fresh();
  let t = performance.now();
  await c.query("INSERT INTO t VALUES ?", [rows]);
  console.log("values", Math.round(N / (performance.now() - t) * 1000));
  await fresh();
  t = performance.now();
  await c.query("INSERT INTO t SELECT * FROM JSON_TABLE(?, '$[*]' COLUMNS (a bigint path '$[0]', b varchar(64) path '$[1]', c bigint path '$[2]', d bigint path '$[3]', e varchar(256) path '$[4]', f longtext path '$[5]')) j", [JSON.stringify(rows)]);
  console.log("json", Math.round(N / (performance.now() - t) * 1000));
  await fresh();
  t = performance.now();
  const esc = (v: string) => v.replace(/[\\\t\n\0]/g, (x) => x === "\0" ? "\\0" : "\\" + x);
  const text = rows.map((r) => r.map((v) => typeof v === "string" ? esc(v) : v).join("\t")).join("\n") + "\n";
  await c.query({ sql: "LOAD DATA LOCAL INFILE 'x' INTO TABLE t CHARACTER SET utf8mb4", infileStreamFactory: () => Readable.from([Buffer.from(text)]) } as any);
  console.log("load", Math.round(N / (performance.now() - t) * 1000));
  t = performance.now();
  const f = mysql.format("INSERT INTO t VALUES ?", [rows]);
  console.log("format only", Math.round(N / (performance.now() - t) * 1000));
  await fresh();
  t = performance.now();
  const q = (v: string) => "'" + v.replace(/['\\\0]/g, (x) => x === "\0" ? "\\0" : "\\" + x) + "'";
  const sql = "INSERT INTO t VALUES " + rows.map((r) => "(" + r.map((v) => typeof v === "string" ? q(v) : v).join(",") + ")").join(",");
  const t1 = performance.now();
  await c.query(sql);
  console.log("own format", Math.round(N / (performance.now() - t) * 1000), "format", t1 - t);
  await c.query("DROP TABLE IF EXISTS s"); await c.query("CREATE TABLE s (tn varbinary(64), row_id varbinary(256), state longtext character set utf8mb4 collate utf8mb4_bin, primary key (tn, row_id))");
  t = performance.now();
  await c.query("INSERT INTO s VALUES ? ON DUPLICATE KEY UPDATE state = VALUES(state)", [rows.map((r) => [r[1], r[4], r[5]])]);
  console.log("state upsert new", Math.round(N / (performance.now() - t) * 1000));
  t = performance.now();
  await c.query("INSERT INTO s VALUES ? ON DUPLICATE KEY UPDATE state = VALUES(state)", [rows.map((r) => [r[1], r[4], r[5] + "x"])]);
  console.log("state upsert old", Math.round(N / (performance.now() - t) * 1000));
}
c.destroy();
