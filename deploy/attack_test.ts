// Attacks over real HTTP and WebSockets on a gateway with authentication and rules, as `serve`
// starts it. docs/security.md says which threat each of them stands for.
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import {
  type ErrorBody,
  type JsonValue,
  type PullAnswer,
  type PushAnswer,
  type Rules,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { signToken, type TokenClaims } from "@lakesync/gateway";
import { makeDelta, Prng, serveHandler, test, withTempDir } from "@lakesync/testing";
import { type ServerOptions, startServer } from "./server.ts";

const SECRET = "the secret of these tests, of more than 32 bytes";

const TABLES: readonly TableSchema[] = [
  {
    table: "notes",
    version: 1,
    columns: [{ name: "owner", type: "string" }, { name: "body", type: "json", nullable: true }],
  },
  { table: "__proto__", version: 1, columns: [{ name: "constructor", type: "string" }] },
];

const RULES: Rules = {
  version: 1,
  buckets: [
    {
      name: "own",
      tables: ["notes"],
      filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
    },
    {
      name: "odd",
      tables: ["__proto__"],
      filters: [{ column: "constructor", op: "eq", value: "jwt:__proto__.role" }],
    },
  ],
};

interface Attacked {
  readonly url: string;
  readonly port: number;
  /** Sends a request with a token, or without. */
  ask(token: string | undefined, path: string, init?: RequestInit): Promise<Response>;
}

/** Runs a test on a server of its own. */
function attack(
  title: string,
  body: (server: Attacked) => Promise<void>,
  auth: ServerOptions["auth"] = { secrets: [SECRET] },
): void {
  test(title, () =>
    withTempDir(async (data) => {
      const server = unwrapOrThrow(
        await startServer({ data, tables: TABLES, rules: RULES, auth }),
      );
      const ask: Attacked["ask"] = (token, path, init = {}) => {
        const headers = new Headers(init.headers);
        if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
        return fetch(`${server.url}${path}`, { ...init, headers });
      };
      try {
        await body({ url: server.url, port: Number(new URL(server.url).port), ask });
        // Whatever happened, it goes on.
        const good = await ask(await tokenOf({ sub: "alice" }), pullPath("alice"));
        if (auth.secrets !== undefined) assertEquals(good.status, 200);
        await good.body?.cancel();
        assertEquals(await statusOf(fetch(`${server.url}/health`)), 200);
      } finally {
        await server.stop();
      }
    }));
}

const tokenOf = (claims: Partial<TokenClaims>): Promise<string> =>
  signToken({ sub: "alice", gw: "default", ...claims }, { secret: SECRET });

const pullPath = (clientId: string) => `/v1/sync/default/pull?clientId=${clientId}`;

async function statusOf(response: Promise<Response>): Promise<number> {
  const { status, body } = await response;
  await body?.cancel();
  return status;
}

async function codeOf(response: Promise<Response>): Promise<string> {
  const answer = await response;
  const text = await answer.text();
  const { error } = JSON.parse(text) as ErrorBody;
  assertEquals(error.requestId, answer.headers.get("x-request-id"));
  assert(!/\bat \S+:\d+:\d+/.test(text), "no stack traces in answers");
  return `${answer.status} ${error.code}`;
}

const note = (rowId: string, owner: string, by = owner, body: JsonValue = null) =>
  makeDelta({
    op: "INSERT",
    table: "notes",
    rowId,
    clientId: by,
    hlc: "1",
    columns: [{ column: "owner", value: owner }, { column: "body", value: body }],
  });

const pushing = (body: unknown): RequestInit => ({
  method: "POST",
  body: typeof body === "string" ? body : JSON.stringify(body),
});

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token put together by hand. */
function forge(header: object, claims: object, key?: string): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = key === undefined
    ? ""
    : createHmac("sha256", key).update(signed).digest("base64url");
  return `${signed}.${signature}`;
}

const soon = (): number => Math.floor(Date.parse("2999-01-01") / 1000);
const claims = () => ({ sub: "alice", gw: "default", exp: soon() });
const HS256 = { alg: "HS256", typ: "JWT" };

const TOKENS: readonly [title: string, token: () => string | undefined, expected: string][] = [
  ["no token", () => undefined, "401 UNAUTHENTICATED"],
  ["no JWT", () => "abc", "401 UNAUTHENTICATED"],
  ["alg none", () => forge({ alg: "none" }, claims()), "401 UNAUTHENTICATED"],
  ["alg none, spelt oddly", () => forge({ alg: "nOnE" }, claims()), "401 UNAUTHENTICATED"],
  ["a guessed secret", () => forge(HS256, claims(), "secret"), "401 UNAUTHENTICATED"],
  ["an empty secret", () => forge(HS256, claims(), ""), "401 UNAUTHENTICATED"],
  [
    "RS256 named, HMAC done",
    () => forge({ alg: "RS256" }, claims(), SECRET),
    "401 UNAUTHENTICATED",
  ],
  ["HS512 named", () => forge({ alg: "HS512" }, claims(), SECRET), "401 UNAUTHENTICATED"],
  ["expired", () => forge(HS256, { ...claims(), exp: 1 }, SECRET), "401 UNAUTHENTICATED"],
  [
    "no exp",
    () => forge(HS256, { sub: "alice", gw: "default" }, SECRET),
    "401 UNAUTHENTICATED",
  ],
  ["no sub", () => forge(HS256, { gw: "default", exp: soon() }, SECRET), "401 UNAUTHENTICATED"],
  [
    "an unknown critical header",
    () => forge({ ...HS256, crit: ["x"], x: 1 }, claims(), SECRET),
    "401 UNAUTHENTICATED",
  ],
  ["no gw", () => forge(HS256, { sub: "alice", exp: soon() }, SECRET), "403 FORBIDDEN"],
  ["another gw", () => forge(HS256, { ...claims(), gw: "other" }, SECRET), "403 FORBIDDEN"],
  ["a good one", () => forge(HS256, claims(), SECRET), "200"],
];

attack("faulty tokens are told apart as 401 and 403 on every route", async ({ ask }) => {
  const routes: readonly [path: string, init?: RequestInit][] = [
    [pullPath("alice")],
    ["/v1/sync/default/push", pushing({ clientId: "alice", deltas: [] })],
    ["/v1/sync/default/checkpoint?clientId=alice"],
    ["/v1/sync/default/live?clientId=alice"],
    ["/v1/sync/default/ws"],
    ["/v1/admin/default/stats"],
    ["/v1/admin/default/rules"],
    ["/v1/admin/default/schema"],
    ["/v1/admin/default/flush", { method: "POST" }],
  ];
  for (const [title, make, expected] of TOKENS) {
    for (const [path, init] of routes) {
      const answer = ask(make(), path, init);
      if (expected === "200") {
        const { status, body } = await answer;
        await body?.cancel();
        // A client's token opens no admin route; the socket's path wants a socket.
        const open = path.startsWith("/v1/admin") ? 403 : path.endsWith("/ws") ? 400 : 200;
        assertEquals(status, open, `${title}: ${path}`);
      } else assertEquals(await codeOf(answer), expected, `${title}: ${path}`);
    }
  }
  assertEquals(await statusOf(ask(undefined, "/ready")), 200);
  const refused = await ask(undefined, pullPath("alice"));
  assertEquals(refused.headers.get("www-authenticate"), "Bearer");
  await refused.body?.cancel();
  // Which gateways there are is told to nobody without a token for them.
  assertEquals(await codeOf(ask(undefined, "/v1/sync/none/pull")), "401 UNAUTHENTICATED");
  const other = await tokenOf({ gw: "none" });
  assertEquals(await codeOf(ask(other, "/v1/sync/none/pull")), "404 NOT_FOUND");
});

attack("a WebSocket opens with a good token only", async ({ url }) => {
  const opens = (protocols: string[]): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${url.replace("http", "ws")}/v1/sync/default/ws`, protocols);
      socket.onopen = () => {
        socket.close();
        resolve(`open ${socket.protocol}`);
      };
      socket.onerror = () => resolve("refused");
    });
  for (const [title, make, expected] of TOKENS) {
    const token = make();
    const protocols = ["lakesync.v1", ...(token === undefined ? [] : [`bearer.${token}`])];
    assertEquals(
      await opens(protocols),
      expected === "200" ? "open lakesync.v1" : "refused",
      title,
    );
  }
});

attack("nobody comes in as somebody else, by request, by delta or by WebSocket", async (server) => {
  const { ask, url } = server;
  const token = await tokenOf({ sub: "mallory" });
  for (
    const clientId of [
      "alice",
      "alice:phone",
      "mallor",
      "mallory%3Ax",
      "%6Dallory",
      "@source:x",
      "",
    ]
  ) {
    for (const route of ["pull", "checkpoint", "live"]) {
      const path = `/v1/sync/default/${route}?clientId=${encodeURIComponent(clientId)}`;
      const expected = clientId === "" ? "400 VALIDATION_ERROR" : "403 FORBIDDEN";
      assertEquals(await codeOf(ask(token, path)), expected, `${route} ${clientId}`);
    }
  }
  const push = (body: object) => ask(token, "/v1/sync/default/push", pushing(body));
  const body = (clientId: string, by: string) => ({
    clientId,
    deltas: [note("x", "mallory", "mallory"), note("a", "alice", by)],
  });
  assertEquals(await codeOf(push(body("alice", "mallory"))), "403 FORBIDDEN");
  assertEquals(await codeOf(push(body("mallory", "alice"))), "403 FORBIDDEN");
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/sync/default/ws`, [
    "lakesync.v1",
    `bearer.${token}`,
  ]);
  await new Promise((resolve) => socket.onopen = resolve);
  const asked: object[] = [
    { type: "pull", clientId: "alice" },
    { type: "push", ...body("alice", "alice") },
    { type: "push", ...body("mallory", "alice") },
  ];
  for (const message of asked) {
    const answer = new Promise<ErrorBody>((resolve) => {
      socket.onmessage = ({ data }) => resolve(JSON.parse(data as string) as ErrorBody);
    });
    socket.send(JSON.stringify(message));
    assertEquals((await answer).error.code, "FORBIDDEN");
  }
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
  const admin = await tokenOf({ sub: "root", role: "admin" });
  const stats = await (await ask(admin, "/v1/admin/default/stats")).json();
  assertEquals(stats.head, 0, "nothing of all that is in the log");
});

attack(
  "a client reads and writes its own rows only, an admin no others on sync routes",
  async ({ ask }) => {
    const push = async (sub: string, deltas: unknown[], claims: object = {}) =>
      await (await ask(
        await tokenOf({ sub, ...claims }),
        "/v1/sync/default/push",
        pushing({ clientId: sub, deltas }),
      )).json() as PushAnswer;
    assertEquals((await push("alice", [note("a", "alice")])).accepted, 1);
    const stolen = await push("mallory", [note("m", "alice", "mallory")]);
    assertEquals(stolen.rejected.map(({ code }) => code), ["FORBIDDEN_WRITE"]);
    for (const role of ["client", "admin"]) {
      const token = await tokenOf({ sub: "mallory", role: role as "client" });
      const page = await (await ask(token, pullPath("mallory"))).json() as PullAnswer;
      assertEquals(page.deltas, []);
      const path = "/v1/sync/default/checkpoint?clientId=mallory";
      assert(!(await (await ask(token, path)).text()).includes("alice"));
    }
  },
);

attack(
  "names of an object's members are names like any other, as table, column and claim",
  async ({ ask }) => {
    const claims = JSON.parse('{"sub":"alice","gw":"default","__proto__":{"role":"king"}}');
    const token = await signToken(claims as TokenClaims, { secret: SECRET });
    const odd = (table: string, column: string, value: JsonValue, rowId = "__proto__") =>
      makeDelta({
        op: "INSERT",
        table,
        rowId,
        clientId: "alice",
        hlc: "1",
        columns: [{ column, value }],
      });
    const deltas = [
      odd("__proto__", "constructor", "king"),
      odd("__proto__", "constructor", "client", "valueOf"),
      odd("constructor", "name", "x"),
      odd("__proto__", "__proto__", "x"),
      odd("toString", "length", 1),
    ];
    const path = "/v1/sync/default/push";
    const pushed = await (await ask(token, path, pushing({ clientId: "alice", deltas }))).json();
    assertEquals(
      (pushed as PushAnswer).rejected.map(({ index, code }) => `${index} ${code}`),
      ["1 FORBIDDEN_WRITE", "2 SCHEMA_ERROR", "3 SCHEMA_ERROR", "4 SCHEMA_ERROR"],
    );
    const page = await (await ask(token, pullPath("alice"))).json() as PullAnswer;
    assertEquals(page.deltas, [deltas[0]!]);
    // Without that claim of one's own there is none to inherit.
    const plain = await (await ask(await tokenOf({}), pullPath("alice"))).json() as PullAnswer;
    assertEquals(plain.deltas, []);
    assertEquals(Object.hasOwn(Object.prototype, "role"), false);
  },
);

attack("bombs are refused before they burst", async ({ ask }) => {
  const token = await tokenOf({});
  const admin = await tokenOf({ sub: "root", role: "admin" });
  const push = (body: string | Uint8Array, headers: { [name: string]: string } = {}) =>
    ask(token, "/v1/sync/default/push", { method: "POST", body: body as BodyInit, headers });
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  assertEquals(await codeOf(push(deep)), "400 VALIDATION_ERROR");
  const inDelta = JSON.stringify({ clientId: "alice", deltas: [note("a", "alice")] })
    .replace('"value":null', `"value":${"[".repeat(2_000)}${"]".repeat(2_000)}`);
  const rejected = await (await push(inDelta)).json() as PushAnswer;
  assertEquals(rejected.rejected.map(({ code }) => code), ["SCHEMA_ERROR"]);
  const wide = `{${Array.from({ length: 300_000 }, (_, i) => `"k${i}":0`).join()}}`;
  assertEquals(await codeOf(push(wide)), "400 VALIDATION_ERROR");
  const many = JSON.stringify({ clientId: "alice", deltas: Array(10_001).fill(0) });
  assertEquals(await codeOf(push(many)), "413 PAYLOAD_TOO_LARGE");
  const bomb = gzipSync(Buffer.alloc(200_000_000));
  const packed = { "content-encoding": "gzip" };
  assertEquals(await codeOf(push(bomb, packed)), "413 PAYLOAD_TOO_LARGE");
  const rules = {
    version: 1,
    buckets: Array(100_000).fill({ name: "b", tables: [], filters: [] }),
  };
  const put = ask(admin, "/v1/admin/default/rules", { method: "PUT", body: JSON.stringify(rules) });
  assertEquals(await codeOf(put), "400 VALIDATION_ERROR");
});

/** Sends bytes on a connection of its own; gives what came back when it was closed. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.setEncoding("latin1").on("data", (part: string) => text += part);
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

attack(
  "nothing of a request ends up in a header of its answer but a plain request id",
  async ({ port }) => {
    const token = await tokenOf({});
    const get = (path: string, header: string) =>
      raw(
        port,
        `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n${header}\r\n\r\n`,
      );
    const kept = await get(pullPath("alice"), "X-Request-Id: my id");
    assert(/^x-request-id: my id\r$/im.test(kept), kept);
    for (const id of ["a\tb", "é", "x".repeat(129), "a\u0001b"]) {
      const answer = await get(pullPath("alice"), `X-Request-Id: ${id}`);
      assert(!answer.includes(`x-request-id: ${id}`), answer);
    }
    for (
      const path of [
        "/v1/sync/a%0d%0aX-Evil:%201/pull",
        "//",
        "/v1/sync/%00/pull?clientId=%0d%0aX-Evil:1",
      ]
    ) {
      const answer = await get(path, "X-A: b");
      assert(/^HTTP\/1\.1 4\d\d /.test(answer), answer);
      assert(!/^x-evil/im.test(answer), answer);
    }
  },
);

attack("a key set's public key signs nothing, and an unknown key id is no way in", async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const foreign = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "k1", alg: "RS256", use: "sig" };
  let fetches = 0;
  await using issuer = await serveHandler(() => {
    fetches++;
    return Response.json({ keys: [jwk] });
  });
  await withTempDir(async (data) => {
    const jwksUrl = `${issuer.url}/jwks`;
    const server = unwrapOrThrow(await startServer({ data, tables: TABLES, auth: { jwksUrl } }));
    const statusWith = (token: string) =>
      statusOf(fetch(`${server.url}${pullPath("alice")}`, {
        headers: { authorization: `Bearer ${token}` },
      }));
    const by = (header: { alg: string; kid?: string }, key: Parameters<SignJWT["sign"]>[0]) =>
      new SignJWT(claims()).setProtectedHeader(header).sign(key);
    const pem = await exportSPKI(publicKey);
    const secret = new TextEncoder().encode(pem);
    try {
      assertEquals(await statusWith(await by({ alg: "RS256", kid: "k1" }, privateKey)), 200);
      assertEquals(await statusWith(await by({ alg: "HS256", kid: "k1" }, secret)), 401);
      assertEquals(
        await statusWith(await by({ alg: "RS256", kid: "k1" }, foreign.privateKey)),
        401,
      );
      for (let i = 0; i < 20; i++) {
        const kid = `k${i + 2}`;
        assertEquals(await statusWith(await by({ alg: "RS256", kid }, privateKey)), 401);
      }
      assertEquals(fetches, 1, "unknown key ids do not make it fetch again and again");
    } finally {
      await server.stop();
    }
  });
});

attack("ten thousand malformed requests do no harm to a good client", async ({ ask, port }) => {
  const prng = new Prng(42);
  const token = await tokenOf({});
  const evil = await tokenOf({ sub: "mallory", role: "admin" });
  const junk: readonly unknown[] = [
    null,
    0,
    -1,
    1e308,
    "",
    "\ud800",
    "__proto__",
    [],
    {},
    [[]],
    "\0",
  ];
  const words = ["clientId", "=", "&", "%00", "%ff", "..", "cursor", "wait", "999", "mallory", "%"];
  const noise = () => Array.from({ length: prng.int(1, 12) }, () => prng.pick(words)).join("");
  const paths = ["push", "pull", "checkpoint", "live", "ws"].map((name) =>
    `/v1/sync/default/${name}`
  )
    .concat(["rules", "schema", "flush", "stats"].map((name) => `/v1/admin/default/${name}`));
  const sent = makeDelta({
    op: "INSERT",
    table: "notes",
    rowId: "x",
    clientId: "mallory",
    hlc: "1",
    columns: [{ column: "owner", value: "mallory" }],
  });
  const bodies = (): string => {
    const delta = { ...sent, [prng.pick(Object.keys(sent))]: prng.pick(junk) };
    const body = { clientId: "mallory", deltas: [delta], version: 1, buckets: prng.pick(junk) };
    const text = JSON.stringify(prng.chance(0.2) ? prng.pick(junk) : body) ?? "";
    return prng.chance(0.3) ? text.slice(0, prng.int(0, text.length)) : text;
  };
  const bad = async (): Promise<void> => {
    if (prng.chance(0.05)) {
      await raw(port, `${noise()} ${noise()} HTTP/1.1\r\n${noise()}\r\n\r\n`);
      return;
    }
    const method = prng.pick(["GET", "POST", "PUT", "DELETE"]);
    const init: RequestInit = method === "GET" ? {} : { method, body: bodies() };
    const given = prng.pick([evil, undefined, noise().replace(/[^a-z0-9]/gi, "") || "x"]);
    const response = await ask(given, `${prng.pick(paths)}?${noise()}`, init);
    assert(response.status < 500, `${response.status}: ${await response.clone().text()}`);
    await response.body?.cancel();
  };
  let rounds = 0;
  const good = async (): Promise<void> => {
    const rowId = `r${++rounds}`;
    const body = pushing({ clientId: "alice", deltas: [note(rowId, "alice")] });
    const answer = await (await ask(token, "/v1/sync/default/push", body)).json() as PushAnswer;
    assertEquals([answer.accepted, answer.rejected], [1, []]);
  };
  for (let i = 0; i < 10_000; i += 50) {
    await Promise.all([good(), ...Array.from({ length: 50 }, bad)]);
  }
  const page = await (await ask(token, `${pullPath("alice")}&limit=1000`)).json() as PullAnswer;
  assertEquals(page.deltas.length, rounds);
});
