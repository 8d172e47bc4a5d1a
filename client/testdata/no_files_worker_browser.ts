/** A tab's worker in a browser that gives its origins no file system; `?memory`: no IndexedDB either. */
import "../worker_browser.ts";

Object.defineProperty(StorageManager.prototype, "getDirectory", { value: undefined });
if (location.search === "?memory") {
  Object.defineProperty(globalThis, "indexedDB", { value: undefined });
}
