import { err, LakeSyncError, type ObjectStore, ok, type Result } from "@lakesync/core";

/** An object that a manifest brings. */
export interface ManifestFile {
  /** Its key in the store. */
  readonly key: string;
  /** How many deltas it holds. */
  readonly deltas: number;
  /** Its size in bytes. */
  readonly bytes: number;
}

/** What `<table>/manifests/N.json` says: what came with it, and how far the table is. */
export interface Manifest {
  /** The form of this object. */
  readonly version: 1;
  /** The log's epoch. */
  readonly epoch: string;
  /** Everything of that epoch up to this seq is in this manifest's files and the earlier ones'. */
  readonly seq: number;
  /** The log's running hash there; left out in manifests of before there was one. */
  readonly hash?: string;
  /** The batch that it is of. */
  readonly batchId: string;
  /** The objects that it brings, in the order of their deltas. */
  readonly files: readonly ManifestFile[];
}

/** A manifest and its number: 1, 2, 3 … */
export interface NumberedManifest {
  readonly number: number;
  readonly manifest: Manifest;
}

/** The key of a manifest; keys are in the order of their numbers. */
export function manifestKey(table: string, number: number): string {
  return `${table}/manifests/${String(number).padStart(12, "0")}.json`;
}

/**
 * The newest manifest of a table.
 *
 * @param known One that was seen before: the search starts there.
 * @returns Undefined where there is none; `CORRUPT` where it cannot be read.
 */
export async function newestManifest(
  store: ObjectStore,
  table: string,
  known?: NumberedManifest,
): Promise<Result<NumberedManifest | undefined>> {
  let after = known === undefined ? undefined : manifestKey(table, known.number);
  let last: string | undefined;
  do {
    const page = await store.list(`${table}/manifests/`, after === undefined ? {} : { after });
    if (!page.ok) return page;
    last = page.value.objects.at(-1)?.key ?? last;
    after = page.value.next;
  } while (after !== undefined);
  if (last === undefined) return ok(known);
  const bytes = await store.get(last);
  if (!bytes.ok) return bytes;
  const manifest = parseManifest(bytes.value);
  const number = Number(/\/([0-9]{12})\.json$/.exec(last)?.[1] ?? Number.NaN);
  if (manifest !== undefined && Number.isSafeInteger(number)) return ok({ number, manifest });
  return err(
    new LakeSyncError("CORRUPT", `Cannot read "${last}": it is no manifest, restore the object`),
  );
}

/** The bytes of a manifest. */
export function manifestBytes(manifest: Manifest): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(manifest));
}

/** What became of {@linkcode putManifest}. */
export type PutManifestOutcome = "committed" | "lost" | { readonly unknown: LakeSyncError };

/** Makes a manifest, where nobody made one of its number before. */
export async function putManifest(
  store: ObjectStore,
  table: string,
  { number, manifest }: NumberedManifest,
): Promise<PutManifestOutcome> {
  const key = manifestKey(table, number);
  const bytes = manifestBytes(manifest);
  let put = await store.put(key, bytes, { ifAbsent: true });
  // The same once more settles most lost answers: the key is there now, by us or by somebody else.
  if (!put.ok && put.error.code !== "CONFLICT") {
    put = await store.put(key, bytes, { ifAbsent: true });
  }
  if (put.ok) return "committed";
  const there = await store.get(key);
  // What is not there yet may still be on its way.
  if (!there.ok) return { unknown: put.error };
  const ours = there.value.length === bytes.length &&
    there.value.every((byte, i) => byte === bytes[i]);
  return ours ? "committed" : "lost";
}

function parseManifest(bytes: Uint8Array): Manifest | undefined {
  try {
    const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const { version, epoch, seq, hash, batchId, files } = value ?? {};
    const fits = version === 1 && typeof epoch === "string" && Number.isSafeInteger(seq) &&
      typeof batchId === "string" && Array.isArray(files) &&
      (hash === undefined || typeof hash === "string");
    return fits ? value : undefined;
  } catch {
    return undefined;
  }
}
