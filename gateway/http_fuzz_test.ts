// Whatever strangers send, a good client goes on unharmed.
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { type Delta, isRequestErrorCode, type PullAnswer, type PushAnswer } from "@lakesync/core";
import { insertTodo, Prng, test } from "@lakesync/testing";
import { inTx } from "./testdata/fixture.ts";
import { RawConnection, rawRequest, serveGateway, until } from "./testdata/http_fixture.ts";

const JUNK: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e308,
  "",
  "x",
  "\ud800",
  "__proto__",
  "0".repeat(300),
  [],
  [[]],
  {},
  { length: 1 },
  { toString: 1 },
];

/** A value with some part of it replaced, dropped or put elsewhere. */
function spoil(value: unknown, prng: Prng): unknown {
  if (prng.chance(0.3) || typeof value !== "object" || value === null) return prng.pick(JUNK);
  if (Array.isArray(value)) {
    const list = [...value] as unknown[];
    const at = prng.int(0, list.length);
    list.splice(at, prng.int(0, 1), at < list.length ? spoil(list[at], prng) : prng.pick(JUNK));
    return list;
  }
  const entries = Object.entries(value);
  const at = prng.int(0, Math.max(0, entries.length - 1));
  return Object.fromEntries(entries.flatMap(([key, part], i) => {
    if (i !== at) return [[key, part]];
    const way = prng.int(0, 3);
    if (way === 0) return [];
    if (way === 1) return [[prng.pick(["__proto__", "constructor", `${key} `]), part]];
    return [[key, spoil(part, prng)]];
  }));
}

function noise(prng: Prng, length: number): string {
  const letters = [
    "%",
    "&",
    "=",
    "/",
    "?",
    "a",
    "0",
    ".",
    "%00",
    "%ff",
    "..",
    "clientId",
    "cursor",
  ];
  return Array.from({ length }, () => prng.pick(letters)).join("");
}

test("three hundred malformed requests harm neither the gateway nor a good client", async () => {
  const prng = new Prng(42);
  await using served = await serveGateway();
  let sent = 0;
  let cursor = "";
  const received: unknown[] = [];
  const expected: Delta[] = [];

  /** One round of the good client: a push that is accepted, and a pull that brings just that. */
  const goodRound = async (): Promise<void> => {
    const n = ++sent;
    const txId = `t${n}`;
    const deltas = [
      inTx(insertTodo(`good${n}`, 3 * n, "good"), txId),
      inTx(insertTodo(`good${n}b`, 3 * n + 1, "good"), txId),
    ];
    const pushed = await served.push({ clientId: "good", deltas });
    const answer = await pushed.json() as PushAnswer;
    assertEquals([answer.accepted, answer.rejected], [2, []]);
    expected.push(...deltas);
    const page = await (await served.pull(`clientId=good&tables=todos&cursor=${cursor}`))
      .json() as PullAnswer;
    cursor = page.cursor;
    const rowIds = new Set(expected.map(({ rowId }) => rowId));
    received.push(...page.deltas.filter((item) => "rowId" in item && rowIds.has(item.rowId)));
    assertEquals(received, expected);
  };

  /** The status of a malformed request; undefined where the connection just ended. */
  const badRequest = async (kind: number): Promise<number | undefined> => {
    const base = { clientId: "mallory", deltas: [insertTodo("m", 9, "mallory")], schemaVersion: 1 };
    const path = "/v1/sync/default/push";
    if (kind < 4) {
      const text = JSON.stringify(spoil(base, prng)) ?? "";
      const body = kind === 3 ? text.slice(0, prng.int(0, text.length)) : text;
      return await statusOf(await served.ask(path, { method: "POST", body }));
    }
    if (kind === 4) {
      const body = prng.bytes(prng.int(1, 2_000));
      return await statusOf(await served.ask(path, { method: "POST", body }));
    }
    if (kind === 5) {
      const packed = gzipSync(JSON.stringify(base));
      packed[prng.int(10, packed.length - 1)]! ^= prng.int(1, 255);
      const headers = { "content-encoding": "gzip" };
      return await statusOf(
        await served.ask(path, { method: "POST", body: packed as BodyInit, headers }),
      );
    }
    if (kind === 6) {
      return await statusOf(await served.pull(noise(prng, prng.int(1, 30))));
    }
    if (kind === 7) {
      const route = prng.pick([
        "push",
        "pull",
        "checkpoint",
        "../admin/default/stats",
        noise(prng, 5),
      ]);
      const method = prng.pick(["GET", "POST", "PUT", "DELETE", "PATCH"]);
      const target = `/v1/${prng.pick(["sync", "admin"])}/${noise(prng, 3)}/${route}`;
      return (await rawRequest(served.port, [`${method} ${target} HTTP/1.1`]))?.status;
    }
    if (kind === 8) {
      const body = Buffer.from(JSON.stringify(spoil({ tables: [{ table: "x" }] }, prng)) ?? "");
      return await statusOf(
        await served.ask("/v1/admin/default/schema", { method: "PUT", body: body as BodyInit }),
      );
    }
    // Breaks off in the middle.
    using connection = new RawConnection(served.port);
    const before = served.requests();
    connection.send(`POST ${path} HTTP/1.1\r\nHost: g\r\nContent-Length: 500\r\n\r\n{"clientId":`);
    await until(() => served.requests() > before);
    return undefined;
  };

  const statusOf = async (response: Response): Promise<number> => {
    const text = await response.text();
    assert(response.status < 500, `${response.status}: ${text}`);
    if (response.status >= 400) {
      const { error } = JSON.parse(text) as { error: { code: string } };
      assert(isRequestErrorCode(error.code), text);
    }
    return response.status;
  };

  for (let i = 0; i < 300; i += 10) {
    const bad = Array.from({ length: 10 }, (_, n) => badRequest((i + n) % 10));
    const [statuses] = await Promise.all([Promise.all(bad), goodRound()]);
    for (const status of statuses) assert(status === undefined || status < 500, String(status));
  }
  const tables = served.gateway.tables.map(({ table }) => table);
  assertEquals(tables, ["todos", "__proto__"]);
  assertEquals(Object.getPrototypeOf({}), Object.prototype);
  assertEquals((await served.ask("/ready")).status, 200);
});
