/**
 * The conformance suite of the `LogStore` port: what every implementation must hold.
 */
import type { LogStore } from "@lakesync/core";
import { registerAppendCases } from "./log_store/append_cases.ts";
import { registerClockCases, registerDurableClockCases } from "./log_store/clock_cases.ts";
import { registerDurableCases } from "./log_store/durable_cases.ts";
import type { Check, LogStoreSubject } from "./log_store/fixture.ts";
import { registerInstanceCases } from "./log_store/instance_cases.ts";
import { registerKeyCases } from "./log_store/key_cases.ts";
import { registerModelCases } from "./log_store/model_cases.ts";
import { registerReadCases } from "./log_store/read_cases.ts";
import { registerSubscribeCases } from "./log_store/subscribe_cases.ts";
import { registerTrimCases } from "./log_store/trim_cases.ts";
import { registerValueCases } from "./log_store/value_cases.ts";
import { withTempDir } from "./temp.ts";
import { test } from "./test.ts";

export {
  appendRequest,
  type AppendRequestOptions,
  insertTodo,
  type LogStoreSubject,
  makeDelta,
} from "./log_store/fixture.ts";

/** Registers the suite for one implementation. */
export function testLogStore(subject: LogStoreSubject): void {
  const check: Check = (title, body) =>
    test(`LogStore ${subject.name} ${title}`, () =>
      withTempDir(async (directory) => {
        const time = { now: 1_000_000 };
        const open = () => subject.open({ directory, clock: { now: () => time.now } });
        let store = await open();
        const others: LogStore[] = [];
        try {
          await body({
            store,
            time,
            async reopen() {
              await store.close();
              store = await open();
              return store;
            },
            async another() {
              const other = await open();
              others.push(other);
              return other;
            },
          });
        } finally {
          for (const other of others) await other.close();
          await store.close();
        }
      }));

  registerAppendCases(check);
  registerReadCases(check);
  registerKeyCases(check);
  registerValueCases(check);
  registerClockCases(check);
  registerSubscribeCases(check);
  registerTrimCases(check);
  if (subject.durable) {
    registerDurableCases(check);
    registerDurableClockCases(check);
  }
  if (subject.shared) registerInstanceCases(check, subject);
  registerModelCases(subject);
}
