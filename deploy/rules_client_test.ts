// What an app sees of rules: client and gateway in one process, over the code of HTTP.
import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  defineTable,
  integer,
  type JsonValue,
  type Rules,
  string,
  unwrapOrThrow,
} from "@lakesync/core";
import { type Client, createClient, inProcessTransport } from "@lakesync/client";
import {
  createAuth,
  createGateway,
  createHandler,
  type Gateway,
  memoryLogStore,
  signToken,
} from "@lakesync/gateway";
import { ManualClock, test } from "@lakesync/testing";

const tasks = defineTable("tasks", {
  owner: string(),
  team: string().nullable(),
  rank: integer().nullable(),
});

type Tasks = Client<readonly [typeof tasks]>;

const SECRET = "the secret of these tests, of more than 32 bytes";

const OWN: Rules["buckets"][number] = {
  name: "own",
  tables: ["tasks"],
  filters: [{ column: "owner", op: "eq", value: "jwt:sub" }],
};
const TEAM: Rules["buckets"][number] = {
  name: "team",
  tables: ["tasks"],
  filters: [{ column: "team", op: "in", value: "jwt:teams" }],
};
const RULES: Rules = { version: 1, buckets: [OWN, TEAM] };

interface World {
  readonly gateway: Gateway;
  /** The time that tokens go by. */
  readonly clock: ManualClock;
  /** A client whose token says what `claims` says at the time. */
  client(sub: string, claims?: { [claim: string]: JsonValue }, device?: string): Promise<Tasks>;
}

async function inWorld(rules: Rules, body: (world: World) => Promise<void>): Promise<void> {
  const gateway = unwrapOrThrow(
    await createGateway({ id: "default", store: memoryLogStore(), tables: [tasks.schema], rules }),
  );
  const clock = new ManualClock();
  const auth = createAuth({ secrets: [SECRET], clock });
  const handler = createHandler({ gateways: [gateway], auth });
  const clients: Tasks[] = [];
  try {
    await body({
      gateway,
      clock,
      async client(sub, claims = {}, device = "phone") {
        const getToken = () =>
          signToken({ sub, gw: "default", ...claims }, { secret: SECRET, clock });
        const client = unwrapOrThrow(
          await createClient({
            tables: [tasks],
            database: ":memory:",
            clientId: `${sub}:${device}`,
            transport: inProcessTransport({ fetch: handler.fetch, getToken }),
            sync: { auto: false },
          }),
        );
        clients.push(client);
        return client;
      },
    });
  } finally {
    for (const client of clients) await client.close();
    await gateway.close();
  }
}

const sync = async (client: Tasks) => unwrapOrThrow(await client.syncOnce());

async function rows(client: Tasks): Promise<unknown[]> {
  const found = unwrapOrThrow(await client.query("SELECT id, owner, rank FROM tasks ORDER BY id"));
  return found.map(({ id, owner, rank }) => [id, owner, rank]);
}

test("a FORBIDDEN_WRITE is undone here and kept with its rule and column, to be retried or dropped", () =>
  inWorld({ ...RULES, write: [OWN] }, async ({ gateway, client }) => {
    const alice = await client("alice", { teams: ["red"] });
    const bob = await client("bob");
    unwrapOrThrow(await bob.tables.tasks.insert({ id: "b", owner: "bob", team: "red", rank: 1 }));
    await sync(bob);
    await sync(alice);
    unwrapOrThrow(await alice.tables.tasks.update("b", { rank: 2 }));
    unwrapOrThrow(await alice.tables.tasks.insert({ id: "x", owner: "bob", team: null, rank: 3 }));
    unwrapOrThrow(
      await alice.tables.tasks.insert({ id: "a", owner: "alice", team: null, rank: 4 }),
    );
    const summary = await sync(alice);
    assertEquals([summary.pushed, summary.rejected], [1, 2]);
    assertEquals(await rows(alice), [["a", "alice", 4], ["b", "bob", 1]]);
    const letters = unwrapOrThrow(await alice.rejected.list());
    assertEquals(letters.map(({ code, delta }) => [code, delta.rowId]), [
      ["FORBIDDEN_WRITE", "b"],
      ["FORBIDDEN_WRITE", "x"],
    ]);
    for (const { message } of letters) {
      assertStringIncludes(message, 'Rule "own"');
      assertStringIncludes(message, 'column "owner"');
    }
    const [onB, onX] = letters.map(({ delta }) => delta.deltaId);
    assertEquals(unwrapOrThrow(await alice.rejected.drop([onX!, "unknown"])), 1);
    // Once the rules let her, the change can be made again.
    unwrapOrThrow(await gateway.putRules({ ...RULES, version: 2, write: [OWN, TEAM] }));
    assertEquals(unwrapOrThrow(await alice.rejected.retry([onB!])), 1);
    assertEquals(unwrapOrThrow(await alice.rejected.list()), []);
    assertEquals(await rows(alice), [["a", "alice", 4], ["b", "bob", 2]]);
    assertEquals((await sync(alice)).rejected, 0);
    await sync(bob);
    assertEquals(await rows(bob), [["b", "bob", 2]]);
  }));

test("a retry of a change whose row is gone fails, and the letter stays", () =>
  inWorld({ ...RULES, write: [OWN] }, async ({ client }) => {
    const alice = await client("alice", { teams: ["red"] });
    const bob = await client("bob");
    unwrapOrThrow(await bob.tables.tasks.insert({ id: "b", owner: "bob", team: "red", rank: 1 }));
    await sync(bob);
    await sync(alice);
    unwrapOrThrow(await alice.tables.tasks.update("b", { rank: 2 }));
    await sync(alice);
    unwrapOrThrow(await bob.tables.tasks.delete("b"));
    await sync(bob);
    await sync(alice);
    const [letter] = unwrapOrThrow(await alice.rejected.list());
    const retried = await alice.rejected.retry([letter!.delta.deltaId]);
    assertEquals(retried.ok || retried.error.code, "NOT_FOUND");
    assertEquals(unwrapOrThrow(await alice.rejected.list()), [letter!]);
  }));

test("a row that the rules hide from now on goes without a delta, and comes back whole", () =>
  inWorld(RULES, async ({ client }) => {
    const bob = await client("bob");
    const alice = await client("alice", { teams: ["red"] });
    unwrapOrThrow(await bob.tables.tasks.insert({ id: "b", owner: "bob", team: "red", rank: 1 }));
    await sync(bob);
    await sync(alice);
    assertEquals(await rows(alice), [["b", "bob", 1]]);
    for (const [team, expected] of [["blue", []], ["red", [["b", "bob", 1]]]] as const) {
      unwrapOrThrow(await bob.tables.tasks.update("b", { team }));
      await sync(bob);
      const { pulled, pushed } = await sync(alice);
      assertEquals([pulled, pushed, await rows(alice)], [1, 0, [...expected]]);
    }
  }));

test("a changed claim brings a client its new rows, and loses none of its outbox", () =>
  inWorld(RULES, async ({ client, clock }) => {
    const claims = { teams: ["red"] };
    const alice = await client("alice", claims);
    const bob = await client("bob");
    for (const [id, team] of [["r", "red"], ["s", "blue"]] as const) {
      unwrapOrThrow(await bob.tables.tasks.insert({ id, owner: "bob", team, rank: 0 }));
    }
    await sync(bob);
    await sync(alice);
    assertEquals(await rows(alice), [["r", "bob", 0]]);
    unwrapOrThrow(
      await alice.tables.tasks.insert({ id: "a", owner: "alice", team: null, rank: 9 }),
    );
    claims.teams = ["blue"];
    // The client asks for another token when this one has run out.
    await clock.advance(3_600_000);
    const { checkpointRows, pushed } = await sync(alice);
    assertEquals([checkpointRows, pushed], [1, 1]);
    assertEquals(await rows(alice), [["a", "alice", 9], ["s", "bob", 0]]);
  }));

test("of two who delete a row the second counts it as done, and the rest of its transaction goes on", () =>
  inWorld(RULES, async ({ client }) => {
    const phone = await client("alice", {}, "phone");
    const tablet = await client("alice", {}, "tablet");
    for (const id of ["a", "b", "c"]) {
      unwrapOrThrow(await phone.tables.tasks.insert({ id, owner: "alice", team: null, rank: 1 }));
    }
    await sync(phone);
    await sync(tablet);
    for (const id of ["a", "b"]) {
      unwrapOrThrow(await phone.tables.tasks.delete(id));
    }
    unwrapOrThrow(await tablet.tables.tasks.delete("a"));
    unwrapOrThrow(
      await tablet.transaction(async ({ tables }) => {
        await tables.tasks.delete("b");
        await tables.tasks.update("c", { rank: 2 });
      }),
    );
    await sync(phone);
    assertEquals((await sync(tablet)).rejected, 0);
    assertEquals(unwrapOrThrow(await tablet.rejected.list()), []);
    assertEquals(unwrapOrThrow(await tablet.pending()), 0);
    await sync(phone);
    for (const device of [phone, tablet]) assertEquals(await rows(device), [["c", "alice", 2]]);
  }));
