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
      gateways: ["default"],
      config: undefined,
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
    "--gateway",
    "a",
    "--gateway",
    "b",
    "--config",
    "c.ts",
  ];
  const parsed = parseServeArgs(args, {});
  assert(parsed.ok);
  assertEquals(parsed.value, {
    port: 0,
    host: "::1",
    data: "d",
    gateways: ["a", "b"],
    config: "c.ts",
  });
});

test("parseServeArgs() asks for help", () => {
  assertEquals(parseServeArgs(["--help"], {}), { ok: true, value: "help" });
});

const REFUSED: readonly [args: string[], env: Record<string, string>, reason: string][] = [
  [["--port", "http"], {}, "--port http is not a port"],
  [["--port", "65536"], {}, "is not a port"],
  [["--port"], {}, "--port"],
  [["--colour"], {}, "--colour"],
  [["--colours"], {}, "see --help"],
  [["--data", ""], {}, "--data is empty"],
  [["stray"], {}, "stray"],
  [["--gateway", "a/b"], {}, "--gateway a/b is no id"],
  [["--gateway", ".."], {}, "--gateway .. is no id"],
  [["--gateway", "a", "--gateway", "a"], {}, "names one id twice"],
  [["--host", "0.0.0.0"], {}, "without authentication a gateway serves loopback only"],
  [["--host", "example.org"], {}, "loopback only"],
  [[], { LAKESYNC_JWT_SECRET: "s" }, "LAKESYNC_JWT_SECRET is set"],
  [[], { LAKESYNC_JWKS_URL: "u" }, "LAKESYNC_JWKS_URL is set"],
];
for (const [args, env, reason] of REFUSED) {
  test(`parseServeArgs() refuses ${JSON.stringify([...args, ...Object.keys(env)])}`, () => {
    const parsed = parseServeArgs(args, env);
    assert(!parsed.ok);
    assertEquals(parsed.error.code, "VALIDATION_ERROR");
    assertStringIncludes(parsed.error.message, reason);
  });
}
