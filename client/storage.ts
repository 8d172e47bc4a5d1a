/** Where a client's data is kept, and how much room there is for it. */
export interface ClientStorage {
  /**
   * `file`: a SQLite file. `opfs`: the file system that a browser gives each origin. `indexeddb`: where
   * a browser has no such. `memory`: nowhere; in a browser that has neither, all of it is lost when the
   * last tab closes, and what the gateway has not acknowledged by then with it. `other`: a database
   * that the app opened.
   */
  readonly kind: "file" | "opfs" | "indexeddb" | "memory" | "other";
  /** Bytes that the browser says the origin uses; left out where it is not known. */
  readonly usage?: number;
  /** Bytes that the browser says the origin may use; left out where it is not known. */
  readonly quota?: number;
  /**
   * Whether the browser has promised to keep it when room is short. A client asks for that by itself.
   * Left out where it is not known.
   */
  readonly persisted?: boolean;
}
