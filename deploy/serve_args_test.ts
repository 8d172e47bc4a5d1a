import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@lakesync/testing";
import { parseServeArgs } from "./serve_args.ts";

test("parseServeArgs() has the defaults of the usage text", () => {
  const parsed = parseServeArgs([], {});
  assertEquals(parsed, {
    ok: true,
    value: {
      port: 8787,
      host: "127.0.0.1",
      data: "lakesync-data",
      store: { kind: "sqlite" },
      gateways: ["default"],
      config: undefined,
      lake: undefined,
      maintain: undefined,
      origins: undefined,
      pages: undefined,
      auth: undefined,
    },
  });
});

test("parseServeArgs() reads every flag", () => {
  const args = [
    "--port",
    "0",
    "--host",
    "::1",
    "--data=d",
    "--store",
    "postgres",
    "--store-url",
    "postgres://db/x",
    "--gateway",
    "a",
    "--gateway",
    "b",
    "--config",
    "c.ts",
    "--maintain",
    "600",
    "--pages",
    "p.ts",
  ];
  const parsed = parseServeArgs(args, {});
  assert(parsed.ok);
  assertEquals(parsed.value, {
    port: 0,
    host: "::1",
    data: "d",
    store: { kind: "postgres", url: "postgres://db/x" },
    gateways: ["a", "b"],
    config: "c.ts",
    lake: undefined,
    maintain: 600,
    origins: undefined,
    pages: "p.ts",
    auth: undefined,
  });
});

test("parseServeArgs() takes the lake from the environment, the flag before it", () => {
  const env = { LAKESYNC_LAKE: "s3://env/lake" };
  for (const [args, lake] of [[[], "s3://env/lake"], [["--lake", "s3://b"], "s3://b"]] as const) {
    const parsed = parseServeArgs(args, env);
    assert(parsed.ok && parsed.value !== "help");
    assertEquals(parsed.value.lake, lake);
  }
  const wrong = parseServeArgs(["--lake", "/data"], {});
  assert(!wrong.ok && wrong.error.message.includes("write s3://BUCKET/PREFIX"));
});

test("parseServeArgs() takes the store's URL from the environment, the flag before it", () => {
  const env = { LAKESYNC_STORE_URL: "postgres://db/env" };
  const store = (args: readonly string[]) => {
    const parsed = parseServeArgs(["--store", "postgres", ...args], env);
    assert(parsed.ok && parsed.value !== "help");
    return parsed.value.store.url;
  };
  assertEquals(store([]), "postgres://db/env");
  assertEquals(store(["--store-url", "postgres://db/flag"]), "postgres://db/flag");
  assert(parseServeArgs([], { LAKESYNC_STORE_URL: "" }).ok, "an empty one is none");
});

test("parseServeArgs() takes the pages that are let in from the environment, the flag before it", () => {
  const env = { LAKESYNC_ORIGINS: "https://a.example, https://b.example," };
  const origins = (args: readonly string[]) => {
    const parsed = parseServeArgs(args, env);
    assert(parsed.ok && parsed.value !== "help");
    return parsed.value.origins;
  };
  assertEquals(origins([]), ["https://a.example", "https://b.example"]);
  assertEquals(origins(["--origin", "https://c.example"]), ["https://c.example"]);
});

test("parseServeArgs() asks for help", () => {
  assertEquals(parseServeArgs(["--help"], {}), { ok: true, value: "help" });
});

test("parseServeArgs() reads secrets and the key set, and then takes any host", () => {
  const env = { LAKESYNC_JWT_SECRET: "new, old,", LAKESYNC_JWKS_URL: "https://id.example/jwks" };
  const parsed = parseServeArgs(["--host", "0.0.0.0"], env);
  assert(parsed.ok && parsed.value !== "help");
  const { host, auth } = parsed.value;
  assertEquals([host, auth], ["0.0.0.0", {
    secrets: ["new", "old"],
    jwksUrl: "https://id.example/jwks",
  }]);
});

const REFUSED: readonly [args: string[], env: Record<string, string>, reason: string][] = [
  [["--port", "http"], {}, "--port http is not a port"],
  [["--port", "65536"], {}, "is not a port"],
  [["--port"], {}, "--port"],
  [["--colour"], {}, "--colour"],
  [["--colours"], {}, "see --help"],
  [["--data", ""], {}, "--data is empty"],
  [["--store", "redis"], {}, "--store redis is not known: take sqlite, memory, kv, postgres"],
  [["--store", "postgres"], {}, "set LAKESYNC_STORE_URL to postgres://"],
  [["--store-url", "postgres://db/x"], {}, "--store-url is set, but the sqlite store takes no URL"],
  [
    [],
    { LAKESYNC_STORE_URL: "postgres://db/x" },
    "LAKESYNC_STORE_URL is set, but the sqlite store",
  ],
  [["stray"], {}, "stray"],
  [["--gateway", "a/b"], {}, "--gateway a/b is no id"],
  [["--gateway", ".."], {}, "--gateway .. is no id"],
  [["--gateway", "a", "--gateway", "a"], {}, "names one id twice"],
  [["--host", "0.0.0.0"], {}, "without authentication a gateway serves loopback only"],
  [["--host", "example.org"], {}, "loopback only"],
  [[], { LAKESYNC_JWT_SECRET: " , " }, "LAKESYNC_JWT_SECRET is set but has no secret in it"],
  [["--origin", "*"], {}, "--origin: * is no exact origin"],
  [[], { LAKESYNC_ORIGINS: "https://a.example/" }, "LAKESYNC_ORIGINS: https://a.example/ is no"],
  [["--maintain", "often"], {}, "--maintain often is no number of seconds"],
  [["--maintain", "-1"], {}, "--maintain"],
  [[], { LAKESYNC_JWKS_URL: "u" }, "LAKESYNC_JWKS_URL is not an http or https URL"],
  [[], { LAKESYNC_JWKS_URL: "file:///keys" }, "LAKESYNC_JWKS_URL is not an http or https URL"],
];
for (const [args, env, reason] of REFUSED) {
  test(`parseServeArgs() refuses ${JSON.stringify([...args, ...Object.keys(env)])}`, () => {
    const parsed = parseServeArgs(args, env);
    assert(!parsed.ok);
    assertEquals(parsed.error.code, "VALIDATION_ERROR");
    assertStringIncludes(parsed.error.message, reason);
  });
}
