import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import type { JsonValue, Result } from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { type Auth, type AuthOptions, createAuth } from "./auth.ts";
import { signToken, type TokenClaims } from "./auth_sign.ts";
import type { Subject } from "./caller.ts";

const SECRET = "the first secret, of more than 32 bytes";
const OLD_SECRET = "the second secret, of more than 32 bytes";
const GATEWAY = { gateway: "default", admin: false };
const clock = new ManualClock();
const seconds = clock.now() / 1000;

function authBy(options: Partial<AuthOptions> = {}): Auth {
  return createAuth({ secrets: [SECRET, OLD_SECRET], clock, scheduler: clock, ...options });
}

function bearing(token: string): Request {
  return new Request("http://gateway/x", { headers: { authorization: `Bearer ${token}` } });
}

function outcome(admitted: Result<Subject>): string {
  return admitted.ok ? "ok" : admitted.error.code;
}

const sign = (claims: Partial<TokenClaims> = {}, secret = SECRET): Promise<string> =>
  signToken({ sub: "alice", gw: "default", ...claims }, { secret, clock });

/** A token as some library might make it. */
const raw = (
  claims: JWTPayload,
  header: { alg: string; kid?: string } = { alg: "HS256" },
): Promise<string> =>
  new SignJWT(claims).setProtectedHeader(header).sign(new TextEncoder().encode(SECRET));

const good = { sub: "alice", gw: "default", exp: seconds + 60 };

test("admit() takes a token by any secret of the list, and gives all that it says", async () => {
  for (const secret of [SECRET, OLD_SECRET]) {
    const token = await sign({ team: ["赤", "青"], org: { id: "\u{1F600}" } }, secret);
    const admitted = await authBy().admit(bearing(token), GATEWAY);
    assert(admitted.ok);
    const { sub, role, claims, expiresAt } = admitted.value;
    assertEquals([sub, role, expiresAt], ["alice", "client", clock.now() + 3_600_000]);
    assertEquals([claims.team, claims.org], [["赤", "青"], { id: "\u{1F600}" }]);
  }
  const removed = await sign({}, OLD_SECRET);
  assertEquals(
    outcome(await authBy({ secrets: [SECRET] }).admit(bearing(removed), GATEWAY)),
    "UNAUTHENTICATED",
  );
});

test("admit() takes gw as a string or a list, and role admin for admins' routes", async () => {
  const cases: [claims: { [claim: string]: JsonValue }, admin: boolean, expected: string][] = [
    [{ gw: "default" }, false, "ok"],
    [{ gw: ["other", "default"] }, false, "ok"],
    [{ gw: "other" }, false, "FORBIDDEN"],
    [{ gw: ["other"] }, false, "FORBIDDEN"],
    [{ gw: [["default"]] }, false, "FORBIDDEN"],
    [{ gw: { default: true } }, false, "FORBIDDEN"],
    [{ gw: "default,other" }, false, "FORBIDDEN"],
    [{ gw: "*" }, false, "FORBIDDEN"],
    [{ gw: "" }, false, "FORBIDDEN"],
    [{}, false, "FORBIDDEN"],
    [{ gw: "default" }, true, "FORBIDDEN"],
    [{ gw: "default", role: "client" }, true, "FORBIDDEN"],
    [{ gw: "default", role: "Admin" }, true, "FORBIDDEN"],
    [{ gw: "default", role: ["admin"] }, true, "FORBIDDEN"],
    [{ gw: "default", role: "admin" }, true, "ok"],
    [{ gw: "other", role: "admin" }, true, "FORBIDDEN"],
    [{ gw: "default", role: "authenticated" }, false, "ok"],
  ];
  for (const [claims, admin, expected] of cases) {
    const token = await raw({ sub: "alice", exp: seconds + 60, ...claims });
    const admitted = await authBy().admit(bearing(token), { gateway: "default", admin });
    assertEquals(outcome(admitted), expected, JSON.stringify([claims, admin]));
  }
});

const FAULTY: readonly [title: string, token: () => Promise<string> | string][] = [
  ["an empty token", () => ""],
  ["no JWT", () => "abc"],
  ["alg none", () => new UnsecuredJWT(good).encode()],
  ["alg NONE and a signature", async () => {
    const [, payload, signature] = (await raw(good)).split(".");
    return `${Buffer.from('{"alg":"NONE"}').toString("base64url")}.${payload}.${signature}`;
  }],
  ["an algorithm beside the allowed ones", () => raw(good, { alg: "HS512" })],
  ["another secret", () => sign({}, "a secret that nobody else knows, of 32 bytes")],
  ["a changed payload", async () => {
    const [header, , signature] = (await raw(good)).split(".");
    const payload = Buffer.from(JSON.stringify({ ...good, sub: "bob" })).toString("base64url");
    return `${header}.${payload}.${signature}`;
  }],
  ["no signature", async () => (await raw(good)).replace(/[^.]*$/, "")],
  ["no exp", () => raw({ sub: "alice", gw: "default" })],
  ["an exp that is no number", () => raw({ ...good, exp: `${seconds + 60}` as unknown as number })],
  ["an exp of this very second", () => raw({ ...good, exp: seconds })],
  ["an exp of long ago", () => raw({ ...good, exp: 1 })],
  ["an nbf to come", () => raw({ ...good, nbf: seconds + 1 })],
  ["no sub", () => raw({ gw: "default", exp: seconds + 60 })],
  ["an empty sub", () => raw({ ...good, sub: "" })],
  ["a sub that is no string", () => raw({ ...good, sub: 5 as unknown as string })],
  ["a sub with half a character", () => raw({ ...good, sub: "a\ud800" })],
  ["a claim with half a character", () => raw({ ...good, team: "\udc00" })],
  ["a payload that is a list", async () => {
    const { CompactSign } = await import("jose");
    return await new CompactSign(new TextEncoder().encode("[]"))
      .setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(SECRET));
  }],
  ["more characters than a token has", () => raw({ ...good, filler: "x".repeat(16_384) })],
];
for (const [title, make] of FAULTY) {
  test(`admit() answers ${title} with UNAUTHENTICATED`, async () => {
    const token = await make();
    const admitted = await authBy().admit(bearing(token), GATEWAY);
    assertEquals(outcome(admitted), "UNAUTHENTICATED");
    assert(!admitted.ok);
    if (token !== "") assert(!admitted.error.message.includes(token), "the token is not repeated");
  });
}

test("admit() gives the issuer's clock the leeway that it is told", async () => {
  const auth = authBy({ leewaySeconds: 5 });
  const at = async (claims: JWTPayload) =>
    outcome(await auth.admit(bearing(await raw({ ...good, ...claims })), GATEWAY));
  assertEquals(await at({ exp: seconds - 4 }), "ok");
  assertEquals(await at({ exp: seconds - 5 }), "UNAUTHENTICATED");
  assertEquals(await at({ nbf: seconds + 5 }), "ok");
  assertEquals(await at({ nbf: seconds + 6 }), "UNAUTHENTICATED");
});

test("admit() holds tokens to an issuer and an audience where it is told to", async () => {
  const auth = authBy({ issuer: "https://id.example", audience: "lakesync" });
  const at = async (claims: JWTPayload) =>
    outcome(await auth.admit(bearing(await raw({ ...good, ...claims })), GATEWAY));
  assertEquals(await at({ iss: "https://id.example", aud: ["x", "lakesync"] }), "ok");
  assertEquals(await at({ iss: "https://id.example" }), "UNAUTHENTICATED");
  assertEquals(await at({ iss: "https://evil.example", aud: "lakesync" }), "UNAUTHENTICATED");
});

test("admit() finds the token in the header, among subprotocols, and in the URL only where told", async () => {
  const token = await sign();
  const request = (headers: { [name: string]: string }, path = "/x") =>
    new Request(`http://gateway${path}`, { headers });
  const cases: [request: Request, expected: string, inUrl: string][] = [
    [request({ authorization: `bearer ${token}` }), "ok", "ok"],
    [request({ authorization: `Basic ${token}` }), "UNAUTHENTICATED", "UNAUTHENTICATED"],
    [request({ authorization: token }), "UNAUTHENTICATED", "UNAUTHENTICATED"],
    [request({ authorization: `Bearer ${token}, Bearer x` }), "UNAUTHENTICATED", "UNAUTHENTICATED"],
    [request({ "sec-websocket-protocol": `lakesync.v1, bearer.${token}` }), "ok", "ok"],
    [request({ "sec-websocket-protocol": "lakesync.v1" }), "UNAUTHENTICATED", "UNAUTHENTICATED"],
    [request({}, `/x?access_token=${token}`), "UNAUTHENTICATED", "ok"],
    [request({}), "UNAUTHENTICATED", "UNAUTHENTICATED"],
  ];
  for (const [given, expected, inUrl] of cases) {
    assertEquals(outcome(await authBy().admit(given, GATEWAY)), expected);
    assertEquals(outcome(await authBy({ queryToken: true }).admit(given, GATEWAY)), inUrl);
  }
});

test("signToken() refuses claims that would not arrive as they are", async () => {
  const cases: Partial<TokenClaims>[] = [
    { team: "\ud800" },
    { team: NaN },
    { team: new Date() as unknown as JsonValue },
  ];
  for (const claims of cases) await assertRejects(() => sign(claims), TypeError);
  await assertRejects(() => signToken({ sub: "a", gw: "g" }, { secret: "" }), TypeError);
});

test("signToken() carries claims with the names of an object's members", async () => {
  const claims = JSON.parse(
    '{"sub":"alice","gw":"default","__proto__":{"role":"admin"}}',
  ) as TokenClaims;
  const admitted = await authBy().admit(
    bearing(await signToken(claims, { secret: SECRET, clock })),
    GATEWAY,
  );
  assert(admitted.ok);
  assertEquals(admitted.value.role, "client");
  assert(Object.hasOwn(admitted.value.claims, "__proto__"));
});

// Key sets

interface KeySet {
  readonly auth: Auth;
  readonly clock: ManualClock;
  fetches: number;
  answer: () => Promise<Response> | Response;
}

function keySet(options: Partial<AuthOptions> = {}): KeySet {
  const own = new ManualClock();
  const set: KeySet = {
    clock: own,
    fetches: 0,
    answer: () => new Response("", { status: 500 }),
    auth: createAuth({
      jwksUrl: "https://id.example/jwks",
      clock: own,
      scheduler: own,
      fetch: (request) => {
        set.fetches++;
        return new Promise((resolve, reject) => {
          request.signal.addEventListener("abort", () => reject(request.signal.reason));
          Promise.resolve(set.answer()).then(resolve, reject);
        });
      },
      ...options,
    }),
  };
  return set;
}

async function keyPair(alg: string, kid: string) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, jwk: { ...await exportJWK(publicKey), kid } };
}

type Pair = Awaited<ReturnType<typeof keyPair>>;

const signed = (pair: Pair, claims: JWTPayload = {}, header: object = {}): Promise<string> =>
  new SignJWT({ ...good, ...claims })
    .setProtectedHeader({ alg: pair.alg, kid: pair.kid, ...header }).sign(pair.privateKey);

const publish = (...pairs: readonly { readonly jwk: object }[]) => () =>
  Response.json({ keys: pairs.map(({ jwk }) => jwk) });

for (const alg of ["RS256", "ES256", "EdDSA"]) {
  test(`admit() takes ${alg} by a key set, which it fetches once`, async () => {
    const set = keySet();
    const pair = await keyPair(alg, "k1");
    set.answer = publish(pair);
    const token = await signed(pair);
    const all = await Promise.all([1, 2, 3].map(() => set.auth.admit(bearing(token), GATEWAY)));
    assertEquals(all.map(outcome), ["ok", "ok", "ok"]);
    assertEquals(
      outcome(await set.auth.admit(bearing(await signed(pair, { gw: "x" })), GATEWAY)),
      "FORBIDDEN",
    );
    assertEquals(set.fetches, 1);
  });
}

test("admit() takes no HS256 token that is signed with a public key of the set", async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...await exportJWK(publicKey), kid: "k1" };
  const { exportSPKI } = await import("jose");
  const pem = await exportSPKI(publicKey);
  for (const secrets of [[], [SECRET]]) {
    const set = keySet({ secrets });
    set.answer = publish({ jwk });
    const honest = await signed({ alg: "RS256", kid: "k1", privateKey, jwk });
    assertEquals(outcome(await set.auth.admit(bearing(honest), GATEWAY)), "ok");
    for (const secret of [pem, pem.trim(), JSON.stringify(jwk), jwk.n!]) {
      const forged = await new SignJWT(good).setProtectedHeader({ alg: "HS256", kid: "k1" })
        .sign(new TextEncoder().encode(secret));
      assertEquals(outcome(await set.auth.admit(bearing(forged), GATEWAY)), "UNAUTHENTICATED");
    }
  }
});

test("admit() takes no key that a token brings along or points to", async () => {
  const set = keySet();
  const [own, foreign] = [await keyPair("ES256", "k1"), await keyPair("ES256", "k1")];
  set.answer = publish(own);
  for (const header of [{ jwk: foreign.jwk }, { jku: "https://evil.example/jwks" }]) {
    const token = await signed(foreign, {}, header);
    assertEquals(outcome(await set.auth.admit(bearing(token), GATEWAY)), "UNAUTHENTICATED");
  }
  assertEquals(set.fetches, 1);
});

test("admit() fetches the set again for an unknown key id, but not more than every 30 seconds", async () => {
  const set = keySet();
  const [one, two] = [await keyPair("ES256", "k1"), await keyPair("ES256", "k2")];
  set.answer = publish(one);
  const [old, fresh] = [await signed(one), await signed(two)];
  assertEquals(outcome(await set.auth.admit(bearing(old), GATEWAY)), "ok");
  set.answer = publish(two);
  for (let i = 0; i < 20; i++) {
    assertEquals(outcome(await set.auth.admit(bearing(fresh), GATEWAY)), "UNAUTHENTICATED");
  }
  assertEquals(set.fetches, 1);
  await set.clock.advance(30_000);
  assertEquals(outcome(await set.auth.admit(bearing(fresh), GATEWAY)), "ok");
  assertEquals(outcome(await set.auth.admit(bearing(old), GATEWAY)), "UNAUTHENTICATED");
  assertEquals(set.fetches, 2);
});

test("admit() goes on with the keys that it has for a day while the set cannot be fetched", async () => {
  const set = keySet();
  const pair = await keyPair("ES256", "k1");
  set.answer = publish(pair);
  const token = await signed(pair, { exp: seconds + 1_000_000 });
  assertEquals(outcome(await set.auth.admit(bearing(token), GATEWAY)), "ok");
  set.answer = () => Promise.reject(new TypeError("no route"));
  await set.clock.advance(600_000);
  assertEquals(outcome(await set.auth.admit(bearing(token), GATEWAY)), "ok");
  assertEquals(set.fetches, 2);
  await set.clock.advance(86_400_000);
  assertEquals(outcome(await set.auth.admit(bearing(token), GATEWAY)), "OFFLINE");
  set.answer = publish(pair);
  await set.clock.advance(30_000);
  assertEquals(outcome(await set.auth.admit(bearing(token), GATEWAY)), "ok");
});

const BAD_SETS: readonly [title: string, answer: () => Promise<Response> | Response][] = [
  ["fails", () => Promise.reject(new TypeError("no route"))],
  ["answers with a failure", () => Response.json({ keys: [] }, { status: 503 })],
  ["is no JSON", () => new Response("<html>")],
  ["is no key set", () => Response.json({ keys: "none" })],
  ["is too large", () => new Response(`{"keys":[],"x":"${"x".repeat(300_000)}"}`)],
];
for (const [title, answer] of BAD_SETS) {
  test(`admit() says that it cannot check tokens where the key set ${title}`, async () => {
    const set = keySet();
    set.answer = answer;
    const pair = await keyPair("ES256", "k1");
    const admitted = await set.auth.admit(bearing(await signed(pair)), GATEWAY);
    assertEquals(outcome(admitted), "OFFLINE");
    assert(!admitted.ok);
    assertStringIncludes(admitted.error.message, "the key set was not fetched");
    assert(admitted.error.cause instanceof Error);
  });
}

test("admit() waits five seconds for a key set", async () => {
  const set = keySet();
  set.answer = () => new Promise(() => {});
  const pair = await keyPair("ES256", "k1");
  let admitted: string | undefined;
  const waiting = set.auth.admit(bearing(await signed(pair)), GATEWAY).then((result) => {
    admitted = outcome(result);
  });
  while (set.clock.pending === 0) await set.clock.advance(0);
  await set.clock.advance(4_999);
  assertEquals(admitted, undefined);
  await set.clock.advance(1);
  await waiting;
  assertEquals(admitted, "OFFLINE");
});
