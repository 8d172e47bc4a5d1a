import { bytesToHex } from "@noble/hashes/utils.js";
import type { Delta } from "../delta.ts";
import type { Register as JsonRegister } from "../merge.ts";
import type { CheckpointRow, PageItem as JsonPageItem } from "../wire.ts";
import { isDelta } from "../wire.ts";
import { Malformed } from "./_decoding.ts";
import { deltaFromProto, deltaToProto, idToProto } from "./_delta.ts";
import type { PageItem, Row } from "./sync_pb.ts";
import { valueFromProto, valueToProto } from "./_value.ts";

/** The protobuf of an item of a page. */
export function itemToProto(item: JsonPageItem): PageItem {
  return { $typeName: "lakesync.v1.PageItem", item: caseOf(item) };
}

function caseOf(item: JsonPageItem): PageItem["item"] {
  if (isDelta(item)) return { case: "delta", value: deltaToProto(item) };
  const tx = item.txId === undefined ? {} : { txId: item.txId };
  switch (item.op) {
    case "OWN":
      return {
        case: "own",
        value: { $typeName: "lakesync.v1.OwnItem", deltaId: idToProto(item.deltaId), ...tx },
      };
    case "ENTER":
      return {
        case: "enter",
        value: { $typeName: "lakesync.v1.EnterItem", row: rowToProto(item), ...tx },
      };
    case "DELETE":
    case "REMOVE":
      return {
        case: item.op === "DELETE" ? "delete" : "remove",
        value: {
          $typeName: "lakesync.v1.GoneItem",
          table: item.table,
          rowId: item.rowId,
          ...tx,
        },
      };
  }
}

/** The JSON of an item's protobuf. Throws {@linkcode Malformed}. */
export function itemFromProto({ item }: PageItem): JsonPageItem {
  switch (item.case) {
    case "delta":
      return checkedDelta(deltaFromProto(item.value));
    case "own":
      return { op: "OWN", deltaId: bytesToHex(item.value.deltaId), ...txOf(item.value) };
    case "delete":
    case "remove": {
      const { table, rowId } = item.value;
      return {
        op: item.case === "delete" ? "DELETE" : "REMOVE",
        table,
        rowId,
        ...txOf(item.value),
      };
    }
    case "enter":
      if (item.value.row === undefined) throw new Malformed("an ENTER has no row");
      return { op: "ENTER", ...rowFromProto(item.value.row), ...txOf(item.value) };
    default:
      throw new Malformed("an item is of no known kind");
  }
}

function txOf({ txId }: { readonly txId?: string | undefined }): { txId?: string } {
  return txId === undefined ? {} : { txId };
}

function checkedDelta(delta: ReturnType<typeof deltaFromProto>): Delta {
  if (delta.op === undefined) throw new Malformed("a delta has no op");
  if (delta.hlc === "0") throw new Malformed("a delta has no stamp");
  for (const { value } of delta.columns) {
    if (value === undefined) throw new Malformed("a column has no value");
  }
  return delta as Delta;
}

/** The protobuf of a visible row. */
export function rowToProto(row: CheckpointRow): Row {
  const { table, rowId, life: [lifeHlc, lifeClientId] } = row;
  return {
    $typeName: "lakesync.v1.Row",
    table,
    rowId,
    lifeHlc,
    lifeClientId,
    columns: Object.entries(row.columns).map(([column, [value, hlc, clientId]]) => ({
      $typeName: "lakesync.v1.Register",
      column,
      value: valueToProto(value),
      hlc,
      clientId,
    })),
  };
}

/** The JSON of a visible row's protobuf. Throws {@linkcode Malformed}. */
export function rowFromProto(row: Row): CheckpointRow {
  const { table, rowId, lifeHlc, lifeClientId } = row;
  if (lifeHlc === "0") throw new Malformed("a row has no life");
  const columns = row.columns.map(({ column, value: given, hlc, clientId }) => {
    const value = valueFromProto(given);
    if (value === undefined) throw new Malformed("a column has no value");
    if (hlc === "0") throw new Malformed("a column has no stamp");
    return [column, [value, hlc, clientId] satisfies JsonRegister] as const;
  });
  // fromEntries defines own properties, so that a column named __proto__ is one too.
  return { table, rowId, life: [lifeHlc, lifeClientId], columns: Object.fromEntries(columns) };
}
