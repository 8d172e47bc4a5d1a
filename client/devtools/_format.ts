import { type Hlc, type JsonValue, type LogSeq, type Stamp, unpackHlc } from "@lakesync/core";
import { type Child, h } from "./_dom.ts";

/** The time of day in this place, with milliseconds. */
export function timeText(ms: number): string {
  const date = new Date(ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  const millis = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}

/** The day and time in this place. */
export function momentText(ms: number): string {
  const date = new Date(ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${timeText(ms)}`;
}

/** A stamp's time of day, with the counter where it is not 0. */
export function hlcText(hlc: Hlc): string {
  const { wallMs, counter } = unpackHlc(hlc);
  return counter === 0 ? timeText(wallMs) : `${timeText(wallMs)} +${counter}`;
}

/** Bytes, in the unit that fits. */
export function bytesText(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** A whole number with separators. */
export function countText(n: number): string {
  return n.toLocaleString("en-GB");
}

/** A number of things, by their name in the singular. */
export function plural(n: number, thing: string): string {
  return `${countText(n)} ${
    n === 1 ? thing : thing.endsWith("y") ? `${thing.slice(0, -1)}ies` : `${thing}s`
  }`;
}

/** A log position. */
export function seqText(seq: LogSeq): string {
  return typeof seq === "number" ? countText(seq) : JSON.stringify(seq);
}

/** The longest text of a value that a line shows. */
const LINE = 160;

/** A value on one line. */
export function valueText(value: JsonValue): string {
  const text = JSON.stringify(value);
  return text.length <= LINE ? text : `${text.slice(0, LINE)}…`;
}

/** A client's name, short: `you`, the device's name, or what an id begins with. */
export function clientText(clientId: string, own: string): string {
  if (clientId === own) return "you";
  const device = clientId.slice(clientId.lastIndexOf(":") + 1) || clientId;
  return device.length > 12 ? device.slice(0, 8) : device;
}

/** A client, with a colour of its own. */
export function clientTag(clientId: string, own: string): HTMLElement {
  const tag = h("span", { class: "client", title: clientId }, clientText(clientId, own));
  tag.style.setProperty("--hue", String(hueOf(clientId)));
  if (clientId === own) tag.classList.add("you");
  return tag;
}

/** A stamp: time, counter, client. */
export function stampTag(stamp: Stamp, own: string): HTMLElement {
  const { wallMs, counter } = unpackHlc(stamp.hlc);
  const title = `${
    momentText(wallMs)
  }, counter ${counter}, client ${stamp.clientId} (HLC ${stamp.hlc})`;
  return h(
    "span",
    { class: "stamp", title },
    h("time", {}, hlcText(stamp.hlc)),
    clientTag(stamp.clientId, own),
  );
}

/** A word on a coloured ground. */
export function badge(text: string, kind: string, title?: string): HTMLElement {
  return h("span", { class: `badge ${kind}`, title }, text);
}

/** Columns and their values, on one line. */
export function changesLine(
  columns: readonly { readonly column: string; readonly value: JsonValue }[],
): HTMLElement {
  const parts: Child[] = columns.flatMap(({ column, value }) => [
    h("span", { class: "column" }, `${column} `),
    h("code", {}, valueText(value)),
    "  ",
  ]);
  return h("span", { class: "changes" }, ...parts);
}

function hueOf(text: string): number {
  let hash = 7;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % 360;
}
