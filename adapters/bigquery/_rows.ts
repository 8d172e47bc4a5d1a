import { Buffer } from "node:buffer";
import type { JsonValue, SqlResultRow } from "@lakesync/core";
import { listOf, member, textOf } from "./_client.ts";

/** A row of an answer as texts. */
export function resultRow(row: JsonValue, fields: readonly JsonValue[]): SqlResultRow {
  return listOf(member(row, "f")).map((cell, i) => {
    const value = member(cell, "v");
    if (value === undefined || value === null) return null;
    // Arrays and structs, which LakeSync's own tables do not have.
    if (typeof value !== "string") return JSON.stringify(value);
    switch (textOf(member(fields[i], "type"))) {
      case "TIMESTAMP":
        return timestampText(BigInt(value));
      case "BYTES":
        return `\\x${Buffer.from(value, "base64").toString("hex")}`;
      default:
        return value;
    }
  });
}

/** Microseconds since the Unix epoch as PROTOCOL writes them. */
function timestampText(micros: bigint): string {
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = (micros - rest) / 1_000_000n;
  const text = new Date(Number(seconds) * 1000).toISOString();
  return `${text.slice(0, 19)}.${String(rest).padStart(6, "0")}Z`;
}
