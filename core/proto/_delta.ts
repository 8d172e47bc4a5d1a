import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import type { Delta as JsonDelta, DeltaOp } from "../delta.ts";
import { type Delta, Delta_Op } from "./sync_pb.ts";
import { valueFromProto, valueToProto } from "./_value.ts";

const TO_OP: Readonly<Record<DeltaOp, Delta["op"]>> = {
  INSERT: Delta_Op.INSERT,
  UPDATE: Delta_Op.UPDATE,
  DELETE: Delta_Op.DELETE,
};

const FROM_OP: ReadonlyMap<number, DeltaOp> = new Map([
  [Delta_Op.INSERT, "INSERT"],
  [Delta_Op.UPDATE, "UPDATE"],
  [Delta_Op.DELETE, "DELETE"],
]);

/** The protobuf of a delta. */
export function deltaToProto(delta: JsonDelta): Delta {
  const { op, table, rowId, clientId, columns, hlc, deltaId, txId } = delta;
  return {
    $typeName: "lakesync.v1.Delta",
    op: TO_OP[op],
    table,
    rowId,
    clientId,
    columns: columns.map(({ column, value }) => ({
      $typeName: "lakesync.v1.ColumnChange",
      column,
      value: valueToProto(value),
    })),
    hlc,
    deltaId: idToProto(deltaId),
    ...(txId !== undefined && { txId }),
  };
}

/** A delta's JSON with the faults that it may have: what a gateway checks as it checks all JSON. */
export interface UncheckedDelta extends Omit<JsonDelta, "op" | "columns"> {
  /** What it does, where that is known. */
  readonly op: DeltaOp | undefined;
  /** Its columns, each with a value where it has one. */
  readonly columns: readonly { readonly column: string; readonly value: unknown }[];
}

/** The JSON of a delta's protobuf. */
export function deltaFromProto(delta: Delta): UncheckedDelta {
  const { table, rowId, clientId, columns, hlc, deltaId, txId } = delta;
  return {
    op: FROM_OP.get(delta.op),
    table,
    rowId,
    clientId,
    columns: columns.map(({ column, value }) => ({ column, value: valueFromProto(value) })),
    hlc,
    deltaId: bytesToHex(deltaId),
    ...(txId !== undefined && { txId }),
  };
}

/** The bytes of a delta's id. Throws where it is no hex text: none is made so. */
export function idToProto(deltaId: string): Uint8Array<ArrayBuffer> {
  return hexToBytes(deltaId) as Uint8Array<ArrayBuffer>;
}
