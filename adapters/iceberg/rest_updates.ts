import type { Json64 } from "./json64.ts";
import type { TableMetadata } from "./metadata.ts";

/** A change of a table's metadata as a REST catalogue is told of it. */
export type RestUpdate = { readonly action: string; readonly [name: string]: Json64 };

/** What the catalogue may be told nothing of, because it sees to it itself. */
const ITS_OWN: ReadonlySet<string> = new Set([
  "last-sequence-number",
  "next-row-id",
  "last-updated-ms",
  "last-column-id",
  "current-snapshot-id",
  "snapshot-log",
  "metadata-log",
  "statistics",
  "partition-statistics",
]);

/** What has updates of its own below. */
const TOLD: ReadonlySet<string> = new Set([
  "format-version",
  "schemas",
  "current-schema-id",
  "snapshots",
  "refs",
  "properties",
]);

/**
 * The updates that make `next` of `base`.
 *
 * @throws {TypeError} Where they differ in what no update is made for.
 *
 * @see {@link https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml | Iceberg REST, TableUpdate}
 */
export function tableUpdates(base: TableMetadata, next: TableMetadata): RestUpdate[] {
  for (const [name, value] of Object.entries(next)) {
    if (ITS_OWN.has(name) || TOLD.has(name)) continue;
    if (!same(value, Reflect.get(base, name))) {
      throw new TypeError(`Cannot commit another "${name}" to a REST catalogue`);
    }
  }
  return [
    ...versionUpdates(base, next),
    ...schemaUpdates(base, next),
    ...propertyUpdates(base, next),
    ...snapshotUpdates(base, next),
  ];
}

function versionUpdates(
  { "format-version": had }: TableMetadata,
  { "format-version": version }: TableMetadata,
): RestUpdate[] {
  return had === version ? [] : [{ action: "upgrade-format-version", "format-version": version }];
}

function schemaUpdates(base: TableMetadata, next: TableMetadata): RestUpdate[] {
  const known = new Set(base.schemas.map((schema) => schema["schema-id"]));
  const added = next.schemas.filter((schema) => !known.has(schema["schema-id"]));
  const updates: RestUpdate[] = added.map((schema) => ({
    action: "add-schema",
    schema: schema as unknown as Json64,
    "last-column-id": next["last-column-id"],
  }));
  const current = next["current-schema-id"];
  if (current === base["current-schema-id"]) return updates;
  // -1 is the one that was added last: the catalogue may number it in its own way.
  const id = current === added.at(-1)?.["schema-id"] ? -1 : current;
  return [...updates, { action: "set-current-schema", "schema-id": id }];
}

function propertyUpdates(base: TableMetadata, next: TableMetadata): RestUpdate[] {
  const set = Object.entries(next.properties).filter(([name, value]) =>
    !Object.hasOwn(base.properties, name) || base.properties[name] !== value
  );
  const removed = Object.keys(base.properties).filter((name) =>
    !Object.hasOwn(next.properties, name)
  );
  return [
    ...(set.length > 0 ? [{ action: "set-properties", updates: Object.fromEntries(set) }] : []),
    ...(removed.length > 0 ? [{ action: "remove-properties", removals: removed }] : []),
  ];
}

function snapshotUpdates(base: TableMetadata, next: TableMetadata): RestUpdate[] {
  const before = new Set(base.snapshots.map((snapshot) => snapshot["snapshot-id"]));
  const after = new Set(next.snapshots.map((snapshot) => snapshot["snapshot-id"]));
  const updates: RestUpdate[] = [];
  for (const snapshot of next.snapshots) {
    if (before.has(snapshot["snapshot-id"])) continue;
    updates.push({ action: "add-snapshot", snapshot: snapshot as unknown as Json64 });
  }
  const [had, has] = [base.refs ?? {}, next.refs ?? {}];
  for (const [name, ref] of Object.entries(has)) {
    if (Object.hasOwn(had, name) && same(had[name], ref)) continue;
    const facts = ref as unknown as { readonly [name: string]: Json64 };
    updates.push({ action: "set-snapshot-ref", "ref-name": name, ...facts });
  }
  for (const name of Object.keys(had)) {
    if (!Object.hasOwn(has, name)) {
      updates.push({ action: "remove-snapshot-ref", "ref-name": name });
    }
  }
  const gone = [...before].filter((id) => !after.has(id));
  if (gone.length > 0) updates.push({ action: "remove-snapshots", "snapshot-ids": gone });
  return updates;
}

function same(a: unknown, b: unknown): boolean {
  return a === b || text(a) === text(b);
}

/** A text that two values share where they are the same, whatever the order of their members. */
function text(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(text).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${
    members.map(([name, item]) => `${JSON.stringify(name)}:${text(item)}`).sort().join()
  }}`;
}
