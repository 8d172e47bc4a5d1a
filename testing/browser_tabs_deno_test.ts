/** Several tabs of an app in one browser. */
import { assert, assertEquals } from "@std/assert";
import { noBrowser, TabPage, withBrowser } from "./_tab_pages.ts";
import { test } from "./test.ts";

const skip = await noBrowser();
const DATABASE = { database: "app" } as const;
const COUNT = "SELECT count(*) FROM todos";

test({
  name:
    "five tabs see each other's writes; the leader closes, crashes and freezes, and another leads",
  timeoutMs: 180_000,
  skip,
}, () =>
  withBrowser(async ({ context, server, tab }) => {
    const tabs: TabPage[] = [];
    for (let i = 0; i < 5; i++) tabs.push(await tab(DATABASE));
    let rows = 0;
    const everyoneWrites = async (): Promise<void> => {
      for (const writer of tabs) {
        const seen = tabs.map((other) => other.shows(COUNT, [[rows + 1]]));
        assertEquals(await writer.insert(`row-${rows++}`), undefined);
        await Promise.all(seen);
      }
    };
    await everyoneWrites();
    const passed: { [end: string]: { ms: number; machine: number } } = {};
    const ends = {
      closed: (leader: TabPage) => leader.page.close(),
      crashed: async (leader: TabPage) => {
        const cdp = await context.newCDPSession(leader.page);
        // Its answer does not come any more.
        void cdp.send("Page.crash").catch(() => {});
        await leader.page.waitForEvent("crash");
      },
      frozen: async (leader: TabPage) => {
        const cdp = await context.newCDPSession(leader.page);
        await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
      },
    };
    let frozen: TabPage | undefined;
    for (const [name, end] of Object.entries(ends)) {
      const other = await TabPage.load(context, server);
      const leader = tabs.shift()!;
      const from = performance.now();
      await end(leader);
      assertEquals(await tabs[0]!.insert(`row-${rows++}`), undefined);
      const ms = Math.round(performance.now() - from);
      // How slow the machine is at this moment: a client that is alone is opened and writes.
      const then = performance.now();
      assertEquals(await other.open({ database: `machine-${name}` }), undefined);
      assertEquals(await other.insert("first"), undefined);
      passed[name] = { ms, machine: Math.round(performance.now() - then) };
      await other.page.close();
      await everyoneWrites();
      if (name === "frozen") frozen = leader;
    }
    console.log(`  leadership has passed and a write was answered: ${JSON.stringify(passed)}`);
    for (const { ms, machine } of Object.values(passed)) {
      assert(ms <= 1_000 + machine, JSON.stringify(passed));
    }
    // The frozen one comes back and has missed nothing.
    const cdp = await context.newCDPSession(frozen!.page);
    await cdp.send("Page.setWebLifecycleState", { state: "active" });
    tabs.push(frozen!);
    await frozen!.shows(COUNT, [[rows]]);
    await everyoneWrites();
  }));

test({
  name:
    "a tab that ends in mid-write 100 times loses nothing that was confirmed, and doubles nothing",
  timeoutMs: 240_000,
  skip,
}, () =>
  withBrowser(async ({ context, server }) => {
    // Without a client of its own: so one of those that are ended leads each time.
    const watcher = await TabPage.load(context, server);
    const outcome = await watcher.run<{ confirmed: string[]; kills: number }>(
      `(${killWriters.toString()})(${JSON.stringify(`${server.url}/blank`)})`,
    );
    assertEquals(outcome.kills, 100);
    assert(outcome.confirmed.length > 100, `${outcome.confirmed.length} writes were confirmed`);
    assertEquals(await watcher.open(DATABASE), undefined);
    const ids = new Set((await watcher.query("SELECT id FROM todos")).map(([id]) => id));
    assertEquals(outcome.confirmed.filter((id) => !ids.has(id)), []);
    // Each row has made one delta.
    assertEquals(await watcher.query("SELECT count(*) FROM lakesync_own"), [[ids.size]]);
  }));

/** Runs in a page: frames with the app in them write, and are removed in the middle of it. */
async function killWriters(blank: string): Promise<{ confirmed: string[]; kills: number }> {
  const confirmed: string[] = [];
  let kills = 0;
  type Frame = typeof globalThis & {
    eval(text: string): Promise<void>;
    tab: {
      open(o: object): Promise<string | undefined>;
      insert(id: string, n: number): Promise<string | undefined>;
    };
  };
  const writer = async (n: number): Promise<void> => {
    const frame = document.createElement("iframe");
    frame.src = blank;
    document.body.append(frame);
    await new Promise((resolve) => frame.onload = resolve);
    const inner = frame.contentWindow as unknown as Frame;
    await inner.eval(`import("/testing/testdata/tab_browser.ts").then(() => undefined)`);
    const failed = await inner.tab.open({ database: "app" });
    if (failed !== undefined) throw new Error(failed);
    // So that the moment is another one each time: after so many answers, and a little later.
    const last = 1 + (n * 7) % 5;
    for (let i = 0; i < 8; i++) {
      const id = `${n}-${i}`;
      void inner.tab.insert(id, n).then((error) => error === undefined && confirmed.push(id));
    }
    while (confirmed.filter((id) => id.startsWith(`${n}-`)).length < last) {
      await new Promise((resolve) => setTimeout(resolve, n % 3));
    }
    frame.remove();
    kills++;
  };
  // Most of it is waiting: for the next leader, and for what those that end hold.
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 10 }, (_, i) => writer(10 * round + i)));
  }
  return { confirmed, kills };
}

test({
  name: "two versions of an app work in two tabs, and a third that cannot is told what to do",
  timeoutMs: 180_000,
  skip,
}, () =>
  withBrowser(async ({ context, server, tab }) => {
    const old = await tab({ ...DATABASE, version: 1 });
    const newer = await tab({ ...DATABASE, version: 2 });
    await newer.run(
      `tab.client.tables.todos.insert({ id: "a", title: "t", n: 1, done: false, note: "n" })`,
    );
    await old.run(`tab.client.tables.todos.update("a", { done: true })`);
    assertEquals(await newer.query("SELECT note, done FROM todos"), [["n", 1]]);
    const other = await TabPage.load(context, server);
    const refused = await other.open({ ...DATABASE, version: 3 });
    assert(refused?.startsWith("CONFLICT") && refused.includes("another database"), refused);
    await newer.page.close();
    assertEquals(await old.insert("b"), undefined);
  }));

test({
  name: "full storage is an error with a next step, and what was confirmed stays",
  timeoutMs: 180_000,
  skip,
}, () =>
  withBrowser(async ({ context, server, tab }) => {
    const page = await tab(DATABASE);
    assertEquals(await page.insert("before"), undefined);
    const cdp = await context.newCDPSession(page.page);
    const origin = server.url;
    await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 << 20 });
    let failure: string | undefined;
    let confirmed = 1;
    for (let i = 0; i < 100 && failure === undefined; i++) {
      failure = await page.run(
        `tab.client.tables.todos.insert({ id: "big-${i}", title: "x".repeat(100_000), n: 0, done: false })
          .then((done) => done.ok ? undefined : done.error.code + ": " + done.error.message)`,
      );
      if (failure === undefined) confirmed++;
    }
    assert(failure?.startsWith("STORAGE_ERROR"), failure);
    assertEquals(await page.query(COUNT), [[confirmed]]);
    await cdp.send("Storage.overrideQuotaForOrigin", { origin });
    assertEquals(await page.insert("after"), undefined);
    await page.page.reload();
    await page.page.evaluate(`import("/testing/testdata/tab_browser.ts").then(() => undefined)`);
    assertEquals(await page.open(DATABASE), undefined);
    assertEquals(await page.query(COUNT), [[confirmed + 1]]);
  }));

test({
  name: "who signs out ends all tabs, and the next user sees nothing of them",
  timeoutMs: 180_000,
  skip,
}, () =>
  withBrowser(async ({ tab }) => {
    const [one, two] = [await tab(DATABASE), await tab(DATABASE)];
    assertEquals(await one.insert("of A"), undefined);
    const first = await one.run("tab.client.clientId");
    assertEquals(await two.run("tab.client.wipe()"), { ok: true, value: { unsent: 1 } });
    assert((await one.insert("too late"))?.startsWith("CLOSED"));
    assertEquals(await one.run("tab.client.status.state"), "closed");
    const files = `(async () => { const names = [];
      const walk = async (dir) => { for await (const [name, entry] of dir.entries()) {
        if (entry.kind === "directory") await walk(entry); else names.push(name); } };
      await walk(await navigator.storage.getDirectory());
      return names; })()`;
    assertEquals(await one.run(files), []);
    assertEquals(await two.open(DATABASE), undefined);
    assertEquals(await two.query(COUNT), [[0]]);
    assert(await two.run("tab.client.clientId") !== first);
    // The other tab's page opens as the new user, too.
    assertEquals(await one.open(DATABASE), undefined);
    assertEquals(await one.query(COUNT), [[0]]);
  }));

test({
  name:
    "without a file system tabs keep their data in IndexedDB, and without that the client says so",
  timeoutMs: 180_000,
  skip,
}, () =>
  withBrowser(async ({ tab }) => {
    const worker = "/client/testdata/no_files_worker_browser.ts";
    const one = await tab({ ...DATABASE, worker });
    const two = await tab({ ...DATABASE, worker });
    const kind = "tab.client.storage().then(({ value }) => value.kind)";
    assertEquals(await two.run(kind), "indexeddb");
    assertEquals(await one.insert("kept"), undefined);
    await one.page.close();
    assertEquals(await two.insert("more"), undefined);
    assertEquals(await two.query(COUNT), [[2]]);
    const memory = await tab({ database: "other", worker: `${worker}?memory` });
    assertEquals(await memory.run(kind), "memory");
    assertEquals(await memory.insert("for now"), undefined);
    const warned = await memory.run<string[]>("tab.logged");
    assert(warned.some((line) => line.startsWith("warn storage.memory")), warned.join("\n"));
  }));

test({
  name: "a page that hangs while its worker leads holds up no other tab",
  timeoutMs: 180_000,
  skip,
}, () => {
  const asked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const handler = async (request: Request): Promise<Response | undefined> => {
    if (new URL(request.url).pathname !== "/hang") return undefined;
    asked.resolve();
    await released.promise;
    return new Response();
  };
  return withBrowser(async ({ tab }) => {
    const one = await tab(DATABASE);
    const two = await tab(DATABASE);
    // A request of this kind stops all else in a page until it is answered.
    const hung = one.run(
      "{ const request = new XMLHttpRequest(); request.open('GET', '/hang', false); request.send(); }",
    );
    await asked.promise;
    for (let i = 0; i < 5; i++) assertEquals(await two.insert(`row-${i}`), undefined);
    released.resolve();
    await hung;
    assertEquals(await one.query(COUNT), [[5]]);
  }, { handler });
});
