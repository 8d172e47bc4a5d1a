import { test } from "@lakesync/testing";
import { assertEquals, assertRejects } from "@std/assert";
import { packLines, unpackLines } from "./checkpoint_packed.ts";

/** Numbered lines, some in a text; tells when it is let go of. */
async function* numbered(count: number, ended: () => void = () => {}): AsyncGenerator<string> {
  try {
    for (let i = 0; i < count; i += 100) {
      yield Array.from({ length: 100 }, (_, n) => `{"line":${i + n},"text":"é€😀"}\n`).join("");
    }
  } finally {
    ended();
  }
}

async function* again(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const part of bytes) yield new Uint8Array(part);
}

test("lines come out as they went in, in texts of whole lines", async () => {
  for (const count of [0, 100, 50_000]) {
    let lines = 0;
    for await (const text of unpackLines(again(packLines(numbered(count))))) {
      assertEquals(text.at(-1), "\n");
      for (const line of text.slice(0, -1).split("\n")) {
        assertEquals(JSON.parse(line), { line: lines++, text: "é€😀" });
      }
    }
    assertEquals(lines, count);
  }
});

test("a failure among the lines reaches who reads the bytes, and who unpacks them", async () => {
  async function* broken(): AsyncGenerator<string> {
    yield* numbered(10_000);
    throw new Error("page 7 is damaged");
  }
  const read = async (parts: AsyncIterable<unknown>) => {
    for await (const _ of parts);
  };
  await assertRejects(() => read(packLines(broken())), Error, "page 7");
  await assertRejects(() => read(unpackLines(again(packLines(broken())))), Error, "page 7");
});

test("who stops reading lets go of the lines", async () => {
  const ended = Promise.withResolvers<void>();
  for await (const _ of packLines(numbered(1_000_000, ended.resolve))) break;
  await ended.promise;
});

test("to return from unpacked lines is to return from their bytes, also before they began", async () => {
  for (const reads of [0, 1]) {
    const ends: string[] = [];
    const bytes = again(packLines(numbered(100_000)));
    const end = bytes.return.bind(bytes);
    bytes.return = (value) => {
      ends.push("returned");
      return end(value);
    };
    const lines = unpackLines(bytes);
    for (let i = 0; i < reads; i++) await lines.next();
    await lines.return(undefined);
    assertEquals(ends.includes("returned"), true);
  }
});
