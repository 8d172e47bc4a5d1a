/**
 * An object store in memory, for tests and for trying things out.
 *
 * @module
 */
export { memoryObjectStore, type MemoryObjectStoreOptions } from "./memory_object_store.ts";
