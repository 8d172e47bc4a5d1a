import type { Register, RowState, Stamp } from "@lakesync/core";
import { type Cell, toCell, toWire } from "./_cells.ts";
import type { LakeField } from "./lake_schema.ts";

/** A row of a state table. */
export interface StateRow {
  /** Its life's stamp, as a signed long; 0 where no life is known. */
  readonly hlc: bigint;
  /** Who made its life's stamp; empty where no life is known. */
  readonly clientId: string;
  /** The stamps of its columns that are not its life's. See {@linkcode toStateRow}. */
  readonly stamps: string | null;
  /** Its values, in the plan's order. */
  readonly cells: readonly Cell[];
}

/**
 * The stored form of a row's state. Whether it is alive is told by where it is stored.
 *
 * `stamps` is a JSON object of the columns, by their names in the app, whose register has not the
 * stamp that it is taken to have: a column with a value that of the row's life, one without a value
 * no register at all. A stamp is the hlc in 16 hexadecimal digits and the clientId behind it, so that
 * stamps order as their texts do. Null stands for no such columns.
 *
 * @throws {RangeError} Where a value is not in its wire form.
 */
export function toStateRow(state: RowState, columns: readonly LakeField[]): StateRow {
  const { life } = state;
  const stamps: string[] = [];
  const cells = columns.map(({ column: { name, type } }): Cell => {
    const register = state.columns.get(name);
    if (register === undefined) return null;
    const [value, hlc, clientId] = register;
    // Most columns have the row's stamp, and need no text of it.
    const ofLife = hlc === life?.hlc && clientId === life.clientId;
    if (value === null || !ofLife) {
      const stamp = stampText({ hlc, clientId });
      stamps.push(`${JSON.stringify(name)}:${JSON.stringify(stamp)}`);
    }
    return value === null ? null : toCell(type, value);
  });
  return {
    hlc: BigInt.asIntN(64, BigInt(life?.hlc ?? 0)),
    clientId: life?.clientId ?? "",
    stamps: stamps.length === 0 ? null : `{${stamps.join(",")}}`,
    cells,
  };
}

/**
 * The state of a stored row.
 *
 * @throws {RangeError} Where it is damaged.
 */
export function fromStateRow(
  row: StateRow,
  { columns, alive }: { columns: readonly LakeField[]; alive: boolean },
): RowState {
  const hlc = unsigned(row.hlc);
  const life = hlc === "0" ? undefined : { alive, hlc, clientId: row.clientId };
  const stamps = parseStamps(row.stamps);
  const registers = new Map<string, Register>();
  for (const [i, { column: { name, type } }] of columns.entries()) {
    const cell = row.cells[i]!;
    const stamp = stamps.get(name) ?? (cell === null ? undefined : life);
    if (stamp === undefined) continue;
    registers.set(name, [toWire(type, cell), stamp.hlc, stamp.clientId]);
  }
  return { life, columns: registers };
}

/** A stamp as a text that orders as the stamp does. */
export function stampText({ hlc, clientId }: Stamp): string {
  return BigInt(hlc).toString(16).padStart(16, "0") + clientId;
}

/** The stamp of an unsigned 64-bit number that is kept as a signed one. */
export function unsigned(hlc: bigint): string {
  return BigInt.asUintN(64, hlc).toString();
}

function parseStamps(text: string | null): ReadonlyMap<string, Stamp> {
  if (text === null) return new Map();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RangeError("its _stamps are no JSON", { cause });
  }
  return new Map(
    Object.entries(value ?? {}).map(([column, stamp]): [string, Stamp] => {
      if (typeof stamp !== "string" || !/^[0-9a-f]{16}/.test(stamp)) {
        throw new RangeError(`the stamp of "${column}" is malformed`);
      }
      return [column, {
        hlc: BigInt(`0x${stamp.slice(0, 16)}`).toString(),
        clientId: stamp.slice(16),
      }];
    }),
  );
}
