export * from "./store_memory.ts";
export * from "./store_sqlite.ts";
