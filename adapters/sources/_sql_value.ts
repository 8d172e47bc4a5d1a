import { Buffer } from "node:buffer";
import type { ColumnType, JsonValue } from "@lakesync/core";

/** `2024-05-01 10:00:00.5+02`: a date and a time as databases write them, with a zone or without. */
const MOMENT =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::?\d\d)?)?$/;

/**
 * A database's text for a value, in wire form.
 *
 * @param text The text, not null.
 * @param type The type of the column that it goes to.
 * @returns The value; undefined where the text is no value of that type.
 */
export function wireValue(text: string, type: ColumnType): JsonValue | undefined {
  switch (type) {
    case "string":
      return text.isWellFormed() ? text : undefined;
    case "number": {
      const value = Number(text);
      return text.trim() === "" || !Number.isFinite(value) ? undefined : value === 0 ? 0 : value;
    }
    case "integer":
      return integer(text);
    case "boolean":
      if (/^(t|true|1)$/.test(text)) return true;
      return /^(f|false|0)$/.test(text) ? false : undefined;
    case "timestamp": {
      const moment = parseMoment(text);
      return moment && `${isoSeconds(moment.seconds)}.${moment.micros}Z`;
    }
    case "bytes":
      if (!/^\\x([0-9A-Fa-f]{2})*$/.test(text)) return undefined;
      return Buffer.from(text.slice(2), "hex").toString("base64");
    case "json":
      try {
        return JSON.parse(text) as JsonValue;
      } catch {
        return undefined;
      }
  }
}

function integer(text: string): JsonValue | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const value = BigInt(text);
  if (BigInt.asIntN(64, value) !== value) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** A point in time. */
interface Moment {
  /** Whole seconds since the Unix epoch. */
  readonly seconds: number;
  /** Six digits. */
  readonly micros: string;
  /** Whether the text named a zone; without one it is taken for UTC. */
  readonly zoned: boolean;
}

function parseMoment(text: string): Moment | undefined {
  const parts = MOMENT.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone] =
    parts;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const ms = Date.parse(`${local}Z`);
  // A date that there is not, as 30 February, comes back as another one.
  if (Number.isNaN(ms) || isoSeconds(ms / 1000) !== local) return undefined;
  const seconds = ms / 1000 - offsetSeconds(zone);
  // Years of four digits only: the wire has no others.
  if (!/^\d{4}-/.test(isoSeconds(seconds))) return undefined;
  return { seconds, micros: fraction.padEnd(6, "0"), zoned: zone !== undefined };
}

function offsetSeconds(zone = "Z"): number {
  if (zone === "Z") return 0;
  const [, sign, hours, minutes = "0"] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone)!;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
}

function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.000Z$/, "");
}

/**
 * A database's text for a value some way before another.
 *
 * @param text A whole number or a date and time.
 * @param distance How far: a number, or seconds.
 * @returns The earlier value; undefined where the text is neither.
 */
export function before(text: string, distance: number): string | undefined {
  if (/^-?\d+$/.test(text)) return String(BigInt(text) - BigInt(distance));
  const moment = parseMoment(text);
  if (moment === undefined) return undefined;
  const { seconds, micros, zoned } = moment;
  return `${isoSeconds(seconds - distance).replace("T", " ")}.${micros}${zoned ? "+00" : ""}`;
}

/** The greater of two texts that {@linkcode before} understands. */
export function later(a: string, b: string): string {
  return order(a) < order(b) ? b : a;
}

function order(text: string): bigint {
  if (/^-?\d+$/.test(text)) return BigInt(text);
  const { seconds, micros } = parseMoment(text) ?? { seconds: 0, micros: "0" };
  return BigInt(seconds) * 1_000_000n + BigInt(micros);
}
