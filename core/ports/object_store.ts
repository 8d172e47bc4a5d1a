import type { Result } from "../result.ts";

/** Options of {@linkcode ObjectStore.put}. */
export interface PutOptions {
  /**
   * Fail with `CONFLICT` where the key exists. Of several such puts at once exactly one succeeds.
   *
   * @default {false}
   */
  readonly ifAbsent?: boolean;
  /** Stops the put; nothing is left behind under the key. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode ObjectStore.get}. */
export interface GetOptions {
  /**
   * First byte.
   *
   * @default {0}
   */
  readonly start?: number;
  /**
   * One past the last byte; beyond the end means up to the end.
   *
   * @default {Infinity}
   */
  readonly end?: number;
  /** Stops the get. */
  readonly signal?: AbortSignal;
}

/** Facts about an object. */
export interface ObjectInfo {
  /** Its key, relative to the store's location. */
  readonly key: string;
  /** Its size in bytes. */
  readonly size: number;
  /** When it was last written, ms since the Unix epoch. */
  readonly modified: number;
}

/** A page of a listing. */
export interface ObjectPage {
  /** Objects in the order of their keys by UTF-8 bytes. */
  readonly objects: readonly ObjectInfo[];
  /** Pass as `after` for the next page; undefined on the last. */
  readonly next: string | undefined;
}

/** Options of {@linkcode ObjectStore.list}. */
export interface ListOptions {
  /**
   * Only keys above this one.
   *
   * @default {undefined}
   */
  readonly after?: string;
  /**
   * At most so many.
   *
   * @default {1000}
   */
  readonly limit?: number;
  /** Stops the listing. */
  readonly signal?: AbortSignal;
}

/**
 * Objects by key. Keys are `/`-separated segments of `[A-Za-z0-9._=%-]`, none of them `.` or `..`.
 * A put is atomic (a reader sees the old object, the new one or none, never a part) and durable
 * once answered. Failures come back as `NOT_FOUND`, `CONFLICT`, `ABORTED` or `STORAGE_ERROR`.
 */
export interface ObjectStore {
  /** The URL that keys are relative to, without a slash at its end: `file:///data/lake`, `s3://bucket/prefix`. */
  readonly location: string;
  /** Writes an object, streaming where the body does. */
  put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: PutOptions,
  ): Promise<Result<void>>;
  /** Reads an object or a range of it; `NOT_FOUND` where there is none. */
  get(key: string, options?: GetOptions): Promise<Result<Uint8Array>>;
  /** Facts about an object, or undefined where there is none. */
  head(key: string): Promise<Result<ObjectInfo | undefined>>;
  /** Lists the objects whose keys start with a prefix. */
  list(prefix: string, options?: ListOptions): Promise<Result<ObjectPage>>;
  /** Removes objects; a key that is not there counts as removed. */
  delete(keys: readonly string[]): Promise<Result<void>>;
}
