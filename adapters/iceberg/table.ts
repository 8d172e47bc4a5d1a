import { err, LakeSyncError, type ObjectStore, ok } from "@lakesync/core";
import type { Result, TableSchema } from "@lakesync/core";
import { metadataBytes, parseMetadata, type TableMetadata } from "./metadata.ts";
import { parseSchemaProperty, SCHEMA_PROPERTY } from "./lake_schema.ts";

/** A version of a table. */
export interface TableVersion {
  /** N of `vN.metadata.json`; 0 where no version is there yet. In a catalogue always 1. */
  readonly number: number;
  /** Its content. */
  readonly metadata: TableMetadata;
}

const VERSION_KEY = /\/v([1-9][0-9]{0,14})\.metadata\.json$/;

/** The key of a version. */
export function versionKey(table: string, version: number): string {
  return `${table}/metadata/v${version}.metadata.json`;
}

/** The number of a version's key; undefined where it is the key of something else. */
export function versionOf(key: string): number | undefined {
  const number = VERSION_KEY.exec(key)?.[1];
  return number === undefined ? undefined : Number(number);
}

const hintKey = (table: string): string => `${table}/metadata/version-hint.text`;

/**
 * The newest version of a table.
 *
 * @param store The lake.
 * @param table The table's name in the lake.
 * @param known A version that was seen before: the search starts there.
 * @returns Undefined where there is no such table; `CORRUPT` where it is damaged, `CONFLICT` where
 * LakeSync did not make it.
 */
export async function loadTable(
  store: ObjectStore,
  table: string,
  known?: TableVersion,
): Promise<Result<TableVersion | undefined>> {
  let newest: { number: number; bytes: Uint8Array } | undefined;
  let number = known?.number;
  if (number === undefined) {
    const start = await startingPoint(store, table);
    if (!start.ok) return start;
    if (start.value === undefined) return ok(undefined);
    newest = start.value;
    number = newest.number;
  }
  for (;;) {
    const next = await store.get(versionKey(table, number + 1));
    if (!next.ok) {
      if (next.error.code === "NOT_FOUND") break;
      return next;
    }
    number++;
    newest = { number, bytes: next.value };
  }
  if (newest !== undefined) return readVersion(table, newest);
  // Nothing newer than what is known; unless the table was taken away meanwhile.
  const there = await store.head(versionKey(table, number));
  if (!there.ok) return there;
  return there.value === undefined ? loadTable(store, table) : ok(known);
}

/** A version to look for newer ones from: the hint's, else the newest that is listed. */
async function startingPoint(
  store: ObjectStore,
  table: string,
): Promise<Result<{ number: number; bytes: Uint8Array } | undefined>> {
  const hint = await store.get(hintKey(table));
  if (!hint.ok && hint.error.code !== "NOT_FOUND") return hint;
  if (hint.ok) {
    const number = Number(new TextDecoder().decode(hint.value));
    if (Number.isSafeInteger(number) && number > 0) {
      const bytes = await store.get(versionKey(table, number));
      if (bytes.ok) return ok({ number, bytes: bytes.value });
      if (bytes.error.code !== "NOT_FOUND") return bytes;
    }
  }
  let newest = 0;
  let after: string | undefined;
  do {
    const page = await store.list(`${table}/metadata/v`, after === undefined ? {} : { after });
    if (!page.ok) return page;
    for (const { key } of page.value.objects) {
      newest = Math.max(newest, versionOf(key) ?? 0);
    }
    after = page.value.next;
  } while (after !== undefined);
  if (newest === 0) return ok(undefined);
  const bytes = await store.get(versionKey(table, newest));
  return bytes.ok ? ok({ number: newest, bytes: bytes.value }) : bytes;
}

function readVersion(
  table: string,
  { number, bytes }: { number: number; bytes: Uint8Array },
): Result<TableVersion> {
  return checkedVersion(table, { number, file: versionKey(table, number) }, parseMetadata(bytes));
}

/**
 * A version whose metadata was read: `CORRUPT` where it could not be, `CONFLICT` where LakeSync did
 * not make the table.
 */
export function checkedVersion(
  table: string,
  { number, file }: { number: number; file: string },
  parsed: Result<TableMetadata>,
): Result<TableVersion> {
  if (!parsed.ok) {
    return err(
      new LakeSyncError(
        "CORRUPT",
        `Cannot read "${file}": ${parsed.error.message}; restore the file or move the table away`,
        { cause: parsed.error },
      ),
    );
  }
  if (!Object.hasOwn(parsed.value.properties, SCHEMA_PROPERTY)) {
    return err(
      new LakeSyncError(
        "CONFLICT",
        `Cannot use "${table}": it has no property ${SCHEMA_PROPERTY}, so LakeSync did not make it; use another lake or move the table away`,
      ),
    );
  }
  return ok({ number, metadata: parsed.value });
}

/** The app's schema that a table stands for; `CORRUPT` where the table does not say. */
export function presentSchema(table: string, metadata: TableMetadata): Result<TableSchema> {
  const schema = parseSchemaProperty(metadata.properties[SCHEMA_PROPERTY] ?? "");
  if (schema.ok) return schema;
  return err(
    new LakeSyncError(
      "CORRUPT",
      `Cannot use "${table}": ${schema.error.message}; restore its metadata or move it away`,
      { cause: schema.error },
    ),
  );
}

/** What became of {@linkcode putVersion}. */
export type PutVersionOutcome =
  /** It is the table's newest version, or was. */
  | "committed"
  /** Somebody else made a version of this number. */
  | "lost"
  /** It may be there or may come to be there. */
  | { readonly unknown: LakeSyncError };

/**
 * Makes a version, where nobody made one of its number before: the table's compare-and-set.
 *
 * @param store The lake.
 * @param table The table's name in the lake.
 * @param version The version, whose current snapshot is the caller's own.
 */
export async function putVersion(
  store: ObjectStore,
  table: string,
  version: TableVersion,
): Promise<PutVersionOutcome> {
  const key = versionKey(table, version.number);
  const bytes = metadataBytes(version.metadata);
  let put = await store.put(key, bytes, { ifAbsent: true });
  // The same once more settles most lost answers: the key is there now, by us or by somebody else.
  if (!put.ok && put.error.code !== "CONFLICT") {
    put = await store.put(key, bytes, { ifAbsent: true });
  }
  if (put.ok) return await afterItsPredecessor(store, { table, number: version.number });
  const there = await store.get(key);
  // What is not there yet may still be on its way.
  if (!there.ok) return { unknown: put.error };
  return sameBytes(there.value, bytes) ? "committed" : "lost";
}

/**
 * Maintenance removes old versions, the oldest first. Who has slept for so long between loading and
 * putting makes a version of a number that was there once: then the one before it is gone, too.
 */
async function afterItsPredecessor(
  store: ObjectStore,
  { table, number }: { table: string; number: number },
): Promise<PutVersionOutcome> {
  if (number === 1) return "committed";
  const key = versionKey(table, number - 1);
  let before = await store.head(key);
  if (!before.ok) before = await store.head(key);
  if (!before.ok) return { unknown: before.error };
  if (before.value !== undefined) return "committed";
  const removed = await store.delete([versionKey(table, number)]);
  return removed.ok ? "lost" : { unknown: removed.error };
}

/** Tells readers where to start to look; only a hint, so it may fail. */
export async function putHint(store: ObjectStore, table: string, number: number): Promise<void> {
  await store.put(hintKey(table), new TextEncoder().encode(String(number)));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
