import { testLogStore } from "@lakesync/testing";
import { memoryLogStore } from "./store_memory.ts";

testLogStore({
  name: "memory",
  durable: false,
  open: ({ clock }) => Promise.resolve(memoryLogStore({ clock })),
});
