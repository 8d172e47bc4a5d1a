import { unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { PageStream } from "./_page_stream.ts";

test("pages that are given out as one keep the newest tables that one of them told", async () => {
  const page = (cursor: string, tag?: string) => ({
    deltas: [{ op: "REMOVE", table: "todos", rowId: cursor } as const],
    cursor,
    seq: 1,
    hasMore: false,
    serverHlc: "65536",
    ...(tag !== undefined && { schema: { tag, tables: [] } }),
  });
  const stream = new PageStream("1", { clientId: "a", cursor: "" });
  for (const one of [page("a", "first"), page("b", "second"), page("c")]) stream.add(one, 10);
  const joined = unwrapOrThrow((await stream.take(new AbortController().signal))!);
  assertEquals(joined.deltas.length, 3);
  assertEquals([joined.cursor, joined.schema?.tag], ["c", "second"]);
});
