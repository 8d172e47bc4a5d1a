// Server-Sent Events: an event a page, errors, heartbeats, slow readers.
import type { ErrorBody, PullAnswer } from "@lakesync/core";
import { unwrapOrThrow } from "@lakesync/core";
import { insertTodo, ManualClock, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { memoryLogStore } from "./store_memory.ts";
import { openGateway, pull, push, storeWith } from "./testdata/fixture.ts";
import { errorOf, type Served, serveGateway, until } from "./testdata/http_fixture.ts";
import { settle } from "./testdata/ws_fixture.ts";
import { createHandler } from "./http.ts";

/** An event as a browser's EventSource would give it; a comment has none but `comment`. */
interface LiveEvent {
  readonly type: string;
  readonly id: string;
  readonly data: string;
  readonly comment: boolean;
}

/** Reads events, each when it is asked for. */
class Events implements AsyncDisposable {
  readonly response: Response;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(response: Response) {
    assertEquals(response.status, 200);
    this.response = response;
    this.#reader = response.body!
      .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array<ArrayBuffer>, string>)
      .getReader();
  }

  /** The next event; undefined at the end. */
  async next(): Promise<LiveEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const lines = this.#text.slice(0, end).split("\n");
        this.#text = this.#text.slice(end + 2);
        const field = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? "";
        const comment = lines.every((line) => line.startsWith(":"));
        return { type: field("event") || "message", id: field("id"), data: field("data"), comment };
      }
      const { done, value } = await this.#reader.read();
      if (done) {
        assertEquals(this.#text, "", "the stream ends with a whole event");
        return undefined;
      }
      this.#text += value;
    }
  }

  /** The next event, which is a page. */
  async page(): Promise<PullAnswer> {
    const event = await this.next();
    assert(event?.type === "message" && !event.comment, JSON.stringify(event));
    const page = JSON.parse(event.data) as PullAnswer;
    assertEquals(event.id, page.cursor, "an event's id is its cursor");
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}

async function live(served: Served, query = "clientId=bob", init?: RequestInit): Promise<Events> {
  return new Events(await served.ask(`/v1/sync/default/live?${query}`, init));
}

test("a stream begins with a page, also an empty one, and goes on with one for each change", async () => {
  await using served = await serveGateway();
  await using events = await live(served);
  assertEquals(events.response.headers.get("content-type"), "text/event-stream");
  const first = await events.page();
  assertEquals([first.deltas, first.seq, first.hasMore], [[], 0, false]);
  for (const delta of [insertTodo("a", 1), insertTodo("b", 2)]) {
    await push(served.gateway, [delta]);
    assertEquals((await events.page()).deltas, [delta]);
  }
});

test("a stream gives what was there before it in pages of the limit", async () => {
  await using served = await serveGateway();
  const deltas = Array.from({ length: 5 }, (_, i) => insertTodo(`t${i}`, i + 1));
  await push(served.gateway, deltas);
  await using events = await live(served, "clientId=bob&limit=2");
  const pages = [await events.page(), await events.page(), await events.page()];
  assertEquals(pages.map(({ deltas, hasMore }) => [deltas.length, hasMore]), [
    [2, true],
    [2, true],
    [1, false],
  ]);
  assertEquals(pages.flatMap(({ deltas }) => deltas), deltas);
});

test("Last-Event-ID beats the query's cursor", async () => {
  await using served = await serveGateway();
  const [a, b] = [insertTodo("a", 1), insertTodo("b", 2)];
  await push(served.gateway, [a]);
  const { cursor } = await pull(served.gateway);
  await push(served.gateway, [b]);
  await using events = await live(served, "clientId=bob&cursor=nobody's", {
    headers: { "last-event-id": cursor },
  });
  assertEquals((await events.page()).deltas, [b]);
});

test("a cursor that cannot be served is 410 at opening", async () => {
  await using served = await serveGateway();
  const path = "/v1/sync/default/live?clientId=bob";
  for (const init of [{}, { headers: { "last-event-id": "nobody's" } }]) {
    const query = "headers" in init ? "" : "&cursor=nobody's";
    const error = await errorOf(await served.ask(`${path}${query}`, init), {
      status: 410,
      code: "CHECKPOINT_REQUIRED",
    });
    assertEquals(error.details, { reason: "foreign" });
  }
  const wrong = await served.ask("/v1/sync/default/live");
  await errorOf(wrong, { status: 400, code: "VALIDATION_ERROR" });
});

test("a stream that the log was trimmed under ends with an event error, and then the end", async () => {
  const gateway = await openGateway();
  const handler = createHandler({ gateways: [gateway] });
  for (let i = 1; i <= 3; i++) await push(gateway, [insertTodo(`t${i}`, i)]);
  const request = new Request("http://g/v1/sync/default/live?clientId=bob&limit=1");
  await using events = new Events(await handler.fetch(request));
  await events.page();
  unwrapOrThrow(await gateway.store.trim({ through: 3 }));
  // What was read ahead of its reader comes first.
  let event = await events.next();
  while (event?.type === "message") event = await events.next();
  assertEquals([event?.type, event?.id], ["error", ""]);
  const { error } = JSON.parse(event!.data) as ErrorBody;
  assertEquals(error.code, "CHECKPOINT_REQUIRED");
  assertEquals(error.requestId, events.response.headers.get("x-request-id"));
  assertEquals(await events.next(), undefined);
  await gateway.close();
});

test("a failure of the store ends a stream with INTERNAL, which is logged", async () => {
  const store = memoryLogStore();
  let broken = false;
  const gateway = await openGateway({
    store: storeWith(store, {
      head: () => {
        if (broken) throw new Error("secret path");
        return store.head();
      },
    }),
  });
  const logged: string[] = [];
  const handler = createHandler({
    gateways: [gateway],
    logger: { log: (_, event) => void logged.push(event) },
  });
  const request = new Request("http://g/v1/sync/default/live?clientId=bob");
  await using events = new Events(await handler.fetch(request));
  await events.page();
  broken = true;
  await push(gateway, [insertTodo("a", 1)]);
  const event = await events.next();
  assertEquals([event?.type, await events.next()], ["error", undefined]);
  assert(!event!.data.includes("secret"));
  assertEquals(logged, ["request.failed"]);
  await gateway.close();
});

test("a stream with nothing to say sends a comment every fifteen seconds", async () => {
  const clock = new ManualClock();
  await using served = await serveGateway({ clock }, { scheduler: clock });
  await using events = await live(served);
  await events.page();
  for (let i = 0; i < 3; i++) {
    let came = false;
    const next = events.next().then((event) => {
      came = true;
      return event;
    });
    await until(() => clock.pending > 0);
    await clock.advance(14_999);
    await settle();
    assertEquals(came, false);
    await clock.advance(1);
    assertEquals((await next)?.comment, true);
  }
  await push(served.gateway, [insertTodo("a", 1)]);
  assertEquals((await events.page()).seq, 1, "and goes on");
});

test("the next page is read only when the one before was taken", async () => {
  const store = memoryLogStore();
  let reads = 0;
  const gateway = await openGateway({
    store: storeWith(store, {
      read: (...args) => {
        reads++;
        return store.read(...args);
      },
    }),
  });
  for (let i = 1; i <= 20; i++) await push(gateway, [insertTodo(`t${i}`, i)]);
  const handler = createHandler({ gateways: [gateway] });
  const request = new Request("http://g/v1/sync/default/live?clientId=bob&limit=1");
  const { body } = await handler.fetch(request);
  await settle();
  const reader = body!.getReader();
  for (let taken = 1; taken <= 5; taken++) {
    await reader.read();
    await settle();
    assert(reads <= taken + 1, `${reads} reads for ${taken} pages`);
  }
  await reader.cancel();
  await gateway.close();
});

test("a client that goes away while it waits is no failure", async () => {
  const gateway = await openGateway();
  const logged: string[] = [];
  const handler = createHandler({
    gateways: [gateway],
    logger: { log: (_, event) => void logged.push(event) },
  });
  const request = new Request("http://g/v1/sync/default/live?clientId=bob");
  const reader = (await handler.fetch(request)).body!.getReader();
  await reader.read();
  const waiting = reader.read();
  await settle();
  await reader.cancel();
  assertEquals((await waiting).done, true);
  await settle();
  assertEquals(logged, []);
  await gateway.close();
});

test("a client that goes away leaves nothing behind, and a drain ends streams at once", async () => {
  const clock = new ManualClock();
  const gateway = await openGateway({ clock, limits: { connections: 2 } });
  const handler = createHandler({ gateways: [gateway], scheduler: clock });
  const open = (signal?: AbortSignal) =>
    handler.fetch(
      new Request("http://g/v1/sync/default/live?clientId=bob", signal && { signal }),
    );
  for (let i = 0; i < 5; i++) {
    const leaving = new AbortController();
    const [one, other] = [new Events(await open()), await open(leaving.signal)];
    await one.page();
    const refused = await open();
    assertEquals([refused.status, refused.headers.get("retry-after")], [503, "1"]);
    await one[Symbol.asyncDispose]();
    leaving.abort();
    await settle();
    void other.body?.cancel();
    await settle();
  }
  const events = new Events(await open());
  await events.page();
  const next = events.next();
  await settle();
  await handler.drain();
  assertEquals(await next, undefined, "the end is a clean one");
  assertEquals(clock.pending, 0);
  await gateway.close();
});
