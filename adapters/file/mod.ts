/**
 * An object store in a directory of the local file system: the lake's home where there is no cloud.
 *
 * @module
 */
export {
  type FileObjectStore,
  fileObjectStore,
  type FileObjectStoreOptions,
  type SweepOptions,
} from "./file_object_store.ts";
