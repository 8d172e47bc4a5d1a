/**
 * A lake that any web server serves, read only; and objects kept for when there is no network.
 *
 * @module
 */
export { httpObjectStore, type HttpObjectStoreOptions } from "./http_object_store.ts";
export {
  offlineObjectStore,
  type OfflineObjectStoreOptions,
} from "./offline_object_store_browser.ts";
