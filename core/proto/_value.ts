import type { JsonValue } from "../json.ts";
import type { Value } from "./sync_pb.ts";

/**
 * The protobuf of a value in its JSON form.
 *
 * @param value The value.
 * @returns Its message, which {@linkcode valueFromProto} turns into the very same JSON.
 */
export function valueToProto(value: JsonValue): Value {
  return { $typeName: "lakesync.v1.Value", kind: kindOf(value) };
}

function kindOf(value: JsonValue): Value["kind"] {
  switch (typeof value) {
    case "string":
      return { case: "string", value };
    case "boolean":
      return { case: "bool", value };
    case "number":
      return Number.isSafeInteger(value)
        ? { case: "integer", value: BigInt(value) }
        : { case: "number", value };
    case "object":
      return value === null
        ? { case: "null", value: true }
        : { case: "json", value: JSON.stringify(value) };
  }
}

/**
 * The JSON form of a value's protobuf.
 *
 * @param value The message.
 * @returns The value; undefined where it has no kind, or JSON no form for it.
 */
export function valueFromProto(value: Value | undefined): JsonValue | undefined {
  const kind = value?.kind;
  switch (kind?.case) {
    case "null":
      return null;
    case "bool":
    case "string":
      return kind.value;
    case "number":
      if (!Number.isFinite(kind.value)) return undefined;
      return kind.value === 0 ? 0 : kind.value; // −0 is 0
    case "integer": {
      const number = Number(kind.value);
      return Number.isSafeInteger(number) ? number : kind.value.toString();
    }
    case "json":
      try {
        return JSON.parse(kind.value) as JsonValue;
      } catch {
        return undefined;
      }
    default:
      return undefined;
  }
}
