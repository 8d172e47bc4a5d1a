import { useCallback, useLayoutEffect, useRef, useState } from "react";
import { type LakeSyncError, type Result, toLakeSyncError } from "@lakesync/core";

/**
 * A change that a component can make, and how it went.
 *
 * @typeParam Args What it takes.
 * @typeParam T What it gives.
 */
export interface Mutation<Args extends readonly unknown[], T> {
  /** Makes the change: the same function at each render. Never rejects. */
  readonly mutate: (...args: Args) => Promise<Result<T>>;
  /** Whether a call has no answer yet. */
  readonly pending: boolean;
  /** Why the newest call failed, where it did. */
  readonly error: LakeSyncError | undefined;
  /** What the newest call gave, where it succeeded. */
  readonly value: T | undefined;
  /** Forgets error and value, also those of calls that have no answer yet. */
  readonly reset: () => void;
}

interface Outcome<T> {
  readonly pending: number;
  readonly result: Result<T> | undefined;
}

/**
 * Follows a change that a component makes: whether it is under way, and what became of it. A local
 * write is done within milliseconds and shows in every query by itself; what this is for is to tell
 * where it fails. (What the gateway rejects later is in `client.rejected`.)
 *
 * @param body Makes the change, such as a method of `client.tables` or `client.transaction`. What it
 * throws becomes an `INTERNAL` error.
 * @returns How to make it, and how it went.
 *
 * @example Tell why a row was not added
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { LakeSyncProvider, useLakeSync, useMutation } from "@lakesync/client/react";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createElement } from "react";
 * import { renderToString } from "react-dom/server";
 *
 * const tables = [defineTable("todos", { title: string() })] as const;
 * const client = unwrapOrThrow(await createClient({ tables, database: ":memory:" }));
 *
 * function Add() {
 *   const { todos } = useLakeSync<typeof tables>().tables;
 *   const add = useMutation((title: string) => todos.insert({ title }));
 *   const onClick = () => void add.mutate("Buy milk");
 *   return createElement("button", { onClick, disabled: add.pending }, add.error?.message ?? "Add");
 * }
 * const page = createElement(LakeSyncProvider, { client }, createElement(Add));
 * assertEquals(renderToString(page), "<button>Add</button>");
 * await client.close();
 * ```
 */
export function useMutation<Args extends readonly unknown[], T>(
  body: (...args: Args) => Promise<Result<T>>,
): Mutation<Args, T> {
  const [{ pending, result }, setOutcome] = useState<Outcome<T>>({ pending: 0, result: undefined });
  const newest = useRef({ body, call: 0 });
  useLayoutEffect(() => {
    newest.current.body = body;
  });
  const mutate = useCallback(async (...args: Args): Promise<Result<T>> => {
    const call = ++newest.current.call;
    setOutcome(({ pending }) => ({ pending: pending + 1, result: undefined }));
    const result = await run(newest.current.body, args);
    const isNewest = call === newest.current.call;
    setOutcome((now) => ({
      pending: now.pending - 1,
      result: isNewest ? result : now.result,
    }));
    return result;
  }, []);
  const reset = useCallback(() => {
    newest.current.call++;
    setOutcome(({ pending }) => ({ pending, result: undefined }));
  }, []);
  return {
    mutate,
    pending: pending > 0,
    error: result?.ok === false ? result.error : undefined,
    value: result?.ok === true ? result.value : undefined,
    reset,
  };
}

async function run<Args extends readonly unknown[], T>(
  body: (...args: Args) => Promise<Result<T>>,
  args: Args,
): Promise<Result<T>> {
  try {
    return await body(...args);
  } catch (thrown) {
    return { ok: false, error: toLakeSyncError(thrown, "INTERNAL") };
  }
}
