import { err, type LogStore } from "@lakesync/core";
import { testLogStore } from "@lakesync/testing";
import { closedError } from "./store_error.ts";
import { memoryLogStore } from "./store_memory.ts";

testLogStore({
  name: "memory",
  durable: false,
  shared: false,
  open: ({ clock }) => Promise.resolve(memoryLogStore({ clock })),
});

/** An instance of a store that outlives it: what is in memory stays there. */
function instanceOf(store: LogStore): LogStore {
  let closed = false;
  return new Proxy(store, {
    get(target, name) {
      if (name === "close") {
        return () => {
          closed = true;
          return Promise.resolve();
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (closed && name !== "subscribe") return () => Promise.resolve(err(closedError()));
      return value.bind(target) as unknown;
    },
  });
}

// It is one store however many use it: this holds the suite's cases for several instances to it.
const stores = new Map<string, LogStore>();
testLogStore({
  name: "memory with several users",
  durable: true,
  shared: true,
  open({ directory, clock }) {
    const store = stores.get(directory) ?? memoryLogStore({ clock });
    stores.set(directory, store);
    return Promise.resolve(instanceOf(store));
  },
});
