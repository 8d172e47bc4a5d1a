import { LakeSyncError } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { LeaderLost, type Port, Rpc } from "./_tab_rpc.ts";

type Calls = { readonly echo: readonly [unknown, unknown]; readonly fail: readonly [null, never] };
type News = { readonly news: unknown };

function pair(terms: [string, string]): { ask: Rpc<Calls, News, Calls, News>; heard: unknown[] } {
  const heard: unknown[] = [];
  const sides: Rpc<Calls, News, Calls, News>[] = [];
  for (const side of [0, 1]) {
    const port: Port = {
      post: (message) => {
        const copy = structuredClone(message);
        queueMicrotask(() => sides[1 - side]!.take(copy));
      },
      listen: () => {},
      close: () => {},
    };
    sides.push(
      new Rpc<Calls, News, Calls, News>(port, terms[side]!, {
        asked: {
          echo: (value) => Promise.resolve(value),
          fail: () => {
            const details = { path: ["n"] };
            throw new LakeSyncError("CONFLICT", "no", { details, cause: new Error("why") });
          },
        },
        told: { news: (value) => heard.push(value) },
      }),
    );
  }
  return { ask: sides[0]!, heard };
}

test("an error of the other side keeps its code, message, details and cause", async () => {
  const { ask } = pair(["t", "t"]);
  const error = await assertRejects(() => ask.ask("fail", null), LakeSyncError);
  assertEquals([error.code, error.message, error.details], ["CONFLICT", "no", { path: ["n"] }]);
  assertEquals((error.cause as Error).message, "Error: why");
});

test("what a user wrote comes as it is, also where it looks like an error that travels", async () => {
  const { ask } = pair(["t", "t"]);
  const value = { row: { json: { lakesyncError: ["CONFLICT", "no", null, ""] } } };
  assertEquals(await ask.ask("echo", value), value);
});

test("errors in news are errors again", async () => {
  const { ask, heard } = pair(["t", "t"]);
  ask.tell("news", { state: "blocked", error: new LakeSyncError("FORBIDDEN", "no") });
  await ask.ask("echo", null);
  const [{ error }] = heard as [{ error: LakeSyncError }];
  assert(error instanceof LakeSyncError);
  assertEquals(error.code, "FORBIDDEN");
});

test("words of another term are not heard, and calls that wait end with the leader", async () => {
  const { ask, heard } = pair(["new", "old"]);
  const waiting = ask.ask("echo", 1);
  ask.tell("news", 1);
  for (let i = 0; i < 10; i++) await Promise.resolve();
  assertEquals(heard, []);
  ask.end();
  await assertRejects(() => waiting, LeaderLost);
  await assertRejects(() => ask.ask("echo", 2), LeaderLost);
});

test("a value that cannot be copied is an error, and nothing waits", async () => {
  const { ask } = pair(["t", "t"]);
  const error = await assertRejects(() => ask.ask("echo", () => 1), LakeSyncError);
  assertEquals(error.code, "VALIDATION_ERROR");
});
