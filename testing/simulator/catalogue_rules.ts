/**
 * What a REST catalogue does to a table's metadata, by the specification and not by the product's code:
 * what must hold for a commit, and what its updates change.
 *
 * @see {@link https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml | Iceberg REST}
 */
import type { Json64 } from "@lakesync/adapter-iceberg";

/** A JSON object. */
export type JsonObject = { readonly [name: string]: Json64 };

/** Why a catalogue refuses: 409 where a requirement does not hold, 400 where it makes no sense. */
export interface Refusal {
  readonly status: 400 | 409;
  readonly reason: string;
}

/** The metadata of a new table. */
export function newMetadata(
  request: JsonObject,
  { uuid, location, now }: { uuid: string; location: string; now: number },
): JsonObject {
  const { "format-version": version, ...properties } = request.properties as JsonObject;
  const schema = { ...request.schema as JsonObject, "schema-id": 0 } as unknown as JsonObject;
  const spec = {
    ...request["partition-spec"] as JsonObject,
    "spec-id": 0,
  } as unknown as JsonObject;
  const fields = schema.fields as readonly JsonObject[];
  const order = request["write-order"] as JsonObject | null;
  return {
    "format-version": Number(version ?? 2),
    "table-uuid": uuid,
    location,
    "last-sequence-number": 0,
    "last-updated-ms": now,
    "last-column-id": Math.max(...fields.map(({ id }) => Number(id))),
    schemas: [schema],
    "current-schema-id": 0,
    "partition-specs": [spec],
    "default-spec-id": 0,
    "last-partition-id": 1000,
    "sort-orders": [order ?? { "order-id": 0, fields: [] }],
    "default-sort-order-id": order?.["order-id"] ?? 0,
    properties,
    snapshots: [],
    "snapshot-log": [],
    "metadata-log": [],
  };
}

/** Why a commit is refused; undefined where all that it requires holds. */
export function refusalOf(
  metadata: JsonObject,
  requirements: readonly JsonObject[],
): Refusal | undefined {
  const failed = requirements.find((one) => !holds(metadata, one));
  return failed && { status: 409, reason: `${String(failed.type)} failed` };
}

function holds(metadata: JsonObject, requirement: JsonObject): boolean {
  switch (requirement.type) {
    case "assert-table-uuid":
      return metadata["table-uuid"] === requirement.uuid;
    case "assert-ref-snapshot-id": {
      const ref = refsOf(metadata)[String(requirement.ref)] as JsonObject | undefined;
      return same(ref?.["snapshot-id"] ?? null, requirement["snapshot-id"]!);
    }
    case "assert-current-schema-id":
      return same(metadata["current-schema-id"]!, requirement["current-schema-id"]!);
    case "assert-last-assigned-field-id":
      return same(metadata["last-column-id"]!, requirement["last-assigned-field-id"]!);
    default:
      return false;
  }
}

/** The metadata with updates, or why they make no sense. */
export function withUpdates(
  metadata: JsonObject,
  updates: readonly JsonObject[],
): JsonObject | Refusal {
  let next = metadata;
  let added: Json64 = null;
  for (const update of updates) {
    switch (update.action) {
      case "upgrade-format-version":
        next = { ...next, "format-version": update["format-version"]!, "next-row-id": 0 };
        break;
      case "add-schema": {
        const schema = update.schema as JsonObject;
        added = schema["schema-id"]!;
        const last = Math.max(Number(next["last-column-id"]), Number(update["last-column-id"]));
        next = { ...next, schemas: [...listOf(next.schemas), schema], "last-column-id": last };
        break;
      }
      case "set-current-schema": {
        const id = update["schema-id"] === -1 ? added : update["schema-id"]!;
        next = { ...next, "current-schema-id": id };
        break;
      }
      case "set-properties": {
        const properties = { ...next.properties as JsonObject, ...update.updates as JsonObject };
        next = { ...next, properties };
        break;
      }
      case "add-snapshot": {
        const snapshot = update.snapshot as JsonObject;
        const fault = snapshotFault(next, snapshot);
        if (fault !== undefined) return { status: 400, reason: fault };
        const numbered = next["next-row-id"];
        next = {
          ...next,
          snapshots: [...listOf(next.snapshots), snapshot],
          "last-sequence-number": snapshot["sequence-number"]!,
          "last-updated-ms": snapshot["timestamp-ms"]!,
          ...(numbered !== undefined &&
            { "next-row-id": Number(numbered) + Number(snapshot["added-rows"]) }),
        };
        break;
      }
      case "set-snapshot-ref": {
        const { action: _, "ref-name": name, ...ref } = update;
        const id = ref["snapshot-id"]!;
        if (!listOf(next.snapshots).some((one) => same(one["snapshot-id"]!, id))) {
          return { status: 400, reason: `there is no snapshot ${String(id)}` };
        }
        next = { ...next, refs: { ...refsOf(next), [String(name)]: ref as unknown as Json64 } };
        if (name !== "main") break;
        const log = { "timestamp-ms": next["last-updated-ms"]!, "snapshot-id": id };
        next = {
          ...next,
          "current-snapshot-id": id,
          "snapshot-log": [...listOf(next["snapshot-log"]), log],
        };
        break;
      }
      case "remove-snapshots": {
        const gone = update["snapshot-ids"] as readonly Json64[];
        const stays = (one: JsonObject) => !gone.some((id) => same(one["snapshot-id"]!, id));
        next = {
          ...next,
          snapshots: listOf(next.snapshots).filter(stays),
          "snapshot-log": listOf(next["snapshot-log"]).filter(stays),
        };
        break;
      }
      default:
        return { status: 400, reason: `unknown update ${String(update.action)}` };
    }
  }
  return next;
}

function snapshotFault(metadata: JsonObject, snapshot: JsonObject): string | undefined {
  const number = Number(snapshot["sequence-number"]);
  if (number <= Number(metadata["last-sequence-number"])) return `sequence number ${number} is old`;
  if (
    listOf(metadata.snapshots).some((one) => same(one["snapshot-id"]!, snapshot["snapshot-id"]!))
  ) {
    return "the snapshot is there already";
  }
  const next = metadata["next-row-id"];
  if (next !== undefined && Number(snapshot["first-row-id"]) < Number(next)) {
    return "its first row id is taken";
  }
  return undefined;
}

function listOf(value: Json64 | undefined): readonly JsonObject[] {
  return value as readonly JsonObject[];
}

function refsOf(metadata: JsonObject): JsonObject {
  return (metadata.refs ?? {}) as JsonObject;
}

/** Small integers come as numbers, others as bigints. */
function same(a: Json64, b: Json64): boolean {
  return a === b || (a !== null && b !== null && String(a) === String(b));
}
