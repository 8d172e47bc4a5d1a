/**
 * The object stores that a package's tests may take, though they come from another package: tests
 * meet them here, as library code meets in the ports.
 */
export { type FileObjectStore, fileObjectStore } from "@lakesync/adapter-file";
export { memoryObjectStore } from "@lakesync/adapter-memory";
