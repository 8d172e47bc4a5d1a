import {
  LakeSyncError,
  type Result,
  type SourceBatch,
  type SourceChange,
  unwrapOrThrow,
} from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { recordSource } from "./mod.ts";

const WORDS = ["a", "b", "", "d", "e", "", "g"];

function change(word: string, index: number): SourceChange | undefined {
  if (word === "") return undefined;
  return { op: "upsert", table: "words", rowId: String(index), columns: new Map([["word", word]]) };
}

async function* wordsLater(): AsyncGenerator<string> {
  for (const word of WORDS) yield await Promise.resolve(word);
}

function* failing(thrown: Error): Generator<string> {
  yield "a";
  yield "b";
  throw thrown;
}

async function collect(
  batches: AsyncIterable<Result<SourceBatch>>,
): Promise<Result<SourceBatch>[]> {
  const all: Result<SourceBatch>[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

function rowIds(batches: readonly Result<SourceBatch>[]): string[] {
  return batches.flatMap((batch) => unwrapOrThrow(batch).changes.map(({ rowId }) => rowId));
}

test("recordSource() gives every record once in order, in batches", async () => {
  const source = recordSource({ name: "words", records: () => WORDS, change, batchSize: 3 });
  const batches = await collect(source.read({ cursor: undefined }));
  assertEquals(batches.map((batch) => unwrapOrThrow(batch).cursor), ["3", "6", "7"]);
  assertEquals(rowIds(batches), ["0", "1", "3", "4", "6"]);
  assertEquals(unwrapOrThrow(batches[0]!).changes[1], change("b", 1));
});

test("recordSource() goes on after any cursor, with batches of any size", async () => {
  for (let batchSize = 1; batchSize <= WORDS.length + 1; batchSize++) {
    for (let at = 0; at <= WORDS.length; at++) {
      const source = recordSource({ name: "words", records: wordsLater, change, batchSize });
      const batches = await collect(source.read({ cursor: String(at) }));
      const expected = [0, 1, 3, 4, 6].filter((index) => index >= at).map(String);
      assertEquals(rowIds(batches), expected, `from ${at} by ${batchSize}`);
      const last = batches.at(-1);
      if (at < WORDS.length) assertEquals(last && unwrapOrThrow(last).cursor, "7");
      else assertEquals(batches, []);
      assert(batches.every((batch) => unwrapOrThrow(batch).changes.length <= batchSize));
    }
  }
});

test("recordSource() stops with ABORTED when its signal aborts", async () => {
  const controller = new AbortController();
  const source = recordSource({ name: "words", records: () => WORDS, change, batchSize: 2 });
  const seen: string[] = [];
  for await (const batch of source.read({ cursor: undefined, signal: controller.signal })) {
    seen.push(batch.ok ? batch.value.cursor : batch.error.code);
    controller.abort();
  }
  assertEquals(seen, ["2", "ABORTED"]);
});

test("recordSource() refuses a cursor that is not a count", async () => {
  const source = recordSource({ name: "words", records: () => WORDS, change });
  for (const cursor of ["", "-1", "01", "1.5", "x", "1e3", "99999999999999999999"]) {
    const [answer] = await collect(source.read({ cursor }));
    assertEquals(answer?.ok === false && answer.error.code, "VALIDATION_ERROR", cursor);
  }
});

test("recordSource() fails with CONFLICT where records are gone", async () => {
  const source = recordSource({ name: "words", records: () => WORDS, change });
  const answers = await collect(source.read({ cursor: "8" }));
  assertEquals(answers.length, 1);
  const [answer] = answers;
  assertEquals(answer?.ok === false && answer.error.code, "CONFLICT");
});

test("recordSource() passes on what reading the records failed with, after the batches before", async () => {
  for (const thrown of [new Error("no disk"), new LakeSyncError("NOT_FOUND", "no file")]) {
    const source = recordSource({
      name: "words",
      records: () => failing(thrown),
      change,
      batchSize: 2,
    });
    const [first, second, ...more] = await collect(source.read({ cursor: undefined }));
    assertEquals(first?.ok, true);
    const code = thrown instanceof LakeSyncError ? thrown.code : "STORAGE_ERROR";
    assertEquals(second?.ok === false && second.error.code, code);
    assertEquals(more, []);
  }
});

test("recordSource() throws TypeError for options that cannot be", () => {
  const options = { name: "words", records: () => WORDS, change };
  assertThrows(() => recordSource({ ...options, name: "my words" }), TypeError, "identifier");
  assertThrows(() => recordSource({ ...options, batchSize: 0 }), TypeError, "batches of 0");
});
