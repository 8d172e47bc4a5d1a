import { ManualClock, test } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { inParts, whileRead } from "./reader_watch.ts";

/** A body of three parts that tells what becomes of it. */
function body(): {
  stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  made: number[];
  ends: string[];
} {
  const made: number[] = [];
  const ends: string[] = [];
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (made.length === 3) return controller.close();
      made.push(made.length);
      controller.enqueue(new Uint8Array([made.length]));
    },
    cancel: (reason) => void ends.push(String(reason?.code ?? reason)),
  }, { highWaterMark: 0 });
  return { stream, made, ends };
}

test("whileRead() passes a body on, makes of it no more than is read, and leaves no timer", async () => {
  const clock = new ManualClock();
  const { stream, made, ends } = body();
  const watched = whileRead(stream, {
    idleMs: 100,
    scheduler: clock,
    onEnd: () => ends.push("end"),
  });
  await clock.advance(99);
  assertEquals(made, []);
  const reader = watched.getReader();
  for (const part of [1, 2, 3]) {
    assertEquals((await reader.read()).value, new Uint8Array([part]));
    await clock.advance(99);
    assertEquals(made.length, part);
  }
  assertEquals((await reader.read()).done, true);
  await clock.advance(1000);
  assertEquals([clock.pending, ends], [0, ["end"]]);
});

test("a reader that takes nothing for a time is cut off, and what it was given lets go", async () => {
  for (const parts of [0, 1, 2]) {
    const clock = new ManualClock();
    const { stream, ends } = body();
    const watched = whileRead(stream, {
      idleMs: 100,
      scheduler: clock,
      onEnd: () => ends.push("end"),
    });
    const reader = watched.getReader();
    for (let i = 0; i < parts; i++) await reader.read();
    await clock.advance(99);
    assertEquals(ends, []);
    await clock.advance(1);
    assertEquals(ends, ["end", "TIMEOUT"]);
    await assertRejects(() => reader.read(), Error, "100 ms");
    assertEquals(clock.pending, 0);
  }
});

test("a body that takes long to be made is not its reader's fault", async () => {
  const clock = new ManualClock();
  const slow = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      await clock.delay(5_000);
      controller.enqueue(new Uint8Array([1]));
      controller.close();
    },
  }, { highWaterMark: 0 });
  const read = new Response(whileRead(slow, { idleMs: 100, scheduler: clock })).bytes();
  await clock.advance(5_000);
  assertEquals(await read, new Uint8Array([1]));
});

test("a reader that gives up lets go of the body", async () => {
  const clock = new ManualClock();
  const { stream, ends } = body();
  const watched = whileRead(stream, {
    idleMs: 100,
    scheduler: clock,
    onEnd: () => ends.push("end"),
  });
  await watched.cancel("no more");
  await clock.advance(0);
  assertEquals([ends, clock.pending], [["end", "no more"], 0]);
});

test("a body that breaks breaks for its reader", async () => {
  const clock = new ManualClock();
  const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: () => Promise.reject(new Error("disk")),
  }, { highWaterMark: 0 });
  const watched = whileRead(broken, { idleMs: 100, scheduler: clock });
  await assertRejects(() => new Response(watched).bytes(), Error, "disk");
  await clock.advance(0);
  assertEquals(clock.pending, 0);
});

test("inParts() gives the whole of a body in parts", async () => {
  const bytes = new Uint8Array(150_000).map((_, i) => i % 251);
  const sizes: number[] = [];
  for await (const part of inParts(bytes)) sizes.push(part.length);
  assertEquals(sizes, [65_536, 65_536, 18_928]);
  assertEquals(await new Response(inParts(bytes)).bytes(), bytes);
  assertEquals(await new Response(inParts(new Uint8Array())).bytes(), new Uint8Array());
});
