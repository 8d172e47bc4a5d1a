import {
  boolean,
  defineTable,
  err,
  LakeSyncError,
  silentLogger,
  type SqlDatabase,
  string,
  type SyncTransport,
  systemRandom,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { ManualClock, test } from "@lakesync/testing";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Leader } from "./_leader.ts";
import { openSqlite } from "./open_sqlite.ts";
import type { HelloBody, Welcome } from "./_tab_messages.ts";
import type { Port } from "./_tab_rpc.ts";
import type { GetToken } from "./_token.ts";

const columns = { title: string(), done: boolean() };
const todos = defineTable("todos", columns);
const wider = defineTable("todos", { ...columns, note: string().nullable() }, { version: 2 });

function helloOf(tab: string, { schema, indexes }: Table, paused = false): HelloBody {
  const tables = [{ schema, indexes, bigints: [], judged: false }];
  return { tab, tables, clientId: undefined, was: undefined, paused, hasToken: true };
}

/** What a leader says to a tab, which has a token for it. */
class TestTab implements Port {
  welcome: Welcome | undefined;
  refused = "";
  #hear: (message: unknown) => void = () => {};

  post(message: unknown): void {
    const said = message as {
      welcome?: Welcome;
      refused?: unknown;
      rpc?: { ask?: number; op?: string };
    };
    this.welcome ??= said.welcome;
    if (said.refused !== undefined) this.refused = JSON.stringify(said.refused);
    const { ask, op } = said.rpc ?? {};
    if (op === "token") queueMicrotask(() => this.say({ answer: ask, value: "token" }));
  }

  listen(listener: (message: unknown) => void): void {
    this.#hear = listener;
  }

  close(): void {}

  say(rpc: unknown): void {
    this.#hear({ term: "term", rpc });
  }
}

interface Bench {
  readonly leader: Leader;
  readonly database: SqlDatabase;
  readonly clock: ManualClock;
  /** The token of each sync. */
  readonly syncs: string[];
  /** Resolves with the next sync. */
  nextSync(): Promise<void>;
}

/** A leader whose every sync takes a token first, whatever else happens, and then fails. */
async function withLeader(use: (bench: Bench) => Promise<void>): Promise<void> {
  const database = unwrapOrThrow(await openSqlite({ path: ":memory:" }));
  const clock = new ManualClock();
  const syncs: string[] = [];
  let began = Promise.withResolvers<void>();
  const transport = (getToken: GetToken | undefined): SyncTransport => {
    const request = async () => {
      syncs.push(await getToken!());
      began.resolve();
      return err(new LakeSyncError("OFFLINE", "no gateway"));
    };
    return { push: request, pull: request, checkpoint: request };
  };
  const leader = unwrapOrThrow(
    await Leader.open({
      term: "term",
      database,
      storage: "opfs",
      config: {
        url: "http://gateway.test",
        gateway: undefined,
        wasmUrl: undefined,
        auto: true,
        intervalMs: 1_000,
        retentionMs: 1e9,
      },
      estimate: () => Promise.resolve({}),
      transport,
      clock,
      random: systemRandom,
      scheduler: clock,
      logger: silentLogger,
    }, helloOf("own", todos)),
  );
  const nextSync = (): Promise<void> => {
    began = Promise.withResolvers();
    return began.promise;
  };
  await use({ leader, database, clock, syncs, nextSync });
  await leader.close();
  await database.close();
}

test("a leader whose first tab is another's, with a wider table, takes it in and syncs", () =>
  withLeader(async ({ leader, syncs, nextSync }) => {
    const synced = nextSync();
    const [other, own] = [new TestTab(), new TestTab()];
    await Promise.all([
      leader.admit(helloOf("other", wider), other),
      leader.admit(helloOf("own", todos), own),
    ]);
    assertEquals(other.welcome?.clientId, own.welcome?.clientId);
    await synced;
    assertEquals(syncs[0], "token");
  }));

test("a leader goes on syncing over the old tables where a tab's wider ones cannot be made", () =>
  withLeader(async ({ leader, database, clock, nextSync }) => {
    const first = nextSync();
    const [own, other] = [new TestTab(), new TestTab()];
    await leader.admit(helloOf("own", todos), own);
    await first;
    // The gateway has taught a column of another type.
    const learned = {
      tag: "x",
      columns: [["todos", [{ name: "note", type: "boolean", nullable: true }]]],
    };
    unwrapOrThrow(
      await database.transaction(async (tx) => {
        await tx.run("UPDATE lakesync_state SET learned = ?", [JSON.stringify(learned)]);
        await tx.run("ALTER TABLE todos ADD COLUMN note");
      }),
    );
    const again = nextSync();
    await leader.admit(helloOf("other", wider), other);
    assertEquals(other.welcome, undefined);
    assertStringIncludes(other.refused, "note");
    await clock.advance(60_000);
    await again;
  }));

test("a tab with tables that cannot be is refused, and the next one is taken in", () =>
  withLeader(async ({ leader }) => {
    const [renamed, own] = [new TestTab(), new TestTab()];
    await leader.admit(helloOf("renamed", defineTable("Todos", columns)), renamed);
    assertStringIncludes(renamed.refused, "case does not count");
    await leader.admit(helloOf("own", todos), own);
    assertEquals(own.refused, "");
    assertEquals(typeof own.welcome?.clientId, "string");
  }));

test("a leader whose tab says that syncs are paused starts none, also over wider tables", () =>
  withLeader(async ({ leader, clock, syncs, nextSync }) => {
    const [own, other] = [new TestTab(), new TestTab()];
    await leader.admit(helloOf("own", todos, true), own);
    await leader.admit(helloOf("other", wider), other);
    await clock.advance(600_000);
    assertEquals([own.welcome?.status.state, other.welcome?.status.state], ["paused", "paused"]);
    assertEquals(syncs, []);
    const synced = nextSync();
    other.say({ tell: "resume", value: null });
    await synced;
  }));
