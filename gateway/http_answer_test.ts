import process from "node:process";
import { setImmediate } from "node:timers/promises";
import { systemScheduler } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type Answer, respond } from "./http_answer.ts";

/** Rows without end, whose end fails. */
async function* endingBadly(): AsyncGenerator<string> {
  try {
    for (;;) yield "row\n";
  } finally {
    await Promise.reject(new Error("The snapshot cannot be closed"));
  }
}

const answer = (): Answer => ({ status: 200, type: "application/x-ndjson", body: endingBadly() });

test("a body whose end fails harms nobody: not when it is given up, cut off or asked for by HEAD", async () => {
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  process.on("unhandledRejection", note);
  const begin = async (
    method: string,
    ends: AbortSignal,
  ): Promise<ReadableStreamDefaultReader<Uint8Array> | undefined> => {
    const response = respond(answer(), {
      request: new Request("http://g/checkpoint", { method }),
      requestId: "r",
      headers: {},
      idleMs: 60_000,
      scheduler: systemScheduler,
      ends,
      onEnd: () => {},
    });
    const reader = response.body?.getReader();
    await reader?.read();
    return reader;
  };
  const going = new AbortController();
  const givenUp = await begin("GET", going.signal);
  await givenUp!.cancel();
  const cutOff = await begin("GET", going.signal);
  assertEquals(await begin("HEAD", going.signal), undefined);
  going.abort(new Error("The gateway is shutting down"));
  const failed = await cutOff!.read().then(() => false, () => true);
  assertEquals(failed, true, "what is cut off does not look whole");
  await setImmediate();
  process.off("unhandledRejection", note);
  assertEquals(rejections, []);
});
