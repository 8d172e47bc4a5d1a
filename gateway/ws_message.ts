import {
  decodeClientFrame,
  encodeGatewayFrame,
  err,
  LakeSyncError,
  ok,
  type Result,
  type WsGatewayMessage,
  type WsId,
} from "@lakesync/core";
import type { Form } from "./http_form.ts";
import { pageToAnswer, pageToJson } from "./page_form.ts";
import type { PageAnswer } from "./page_source.ts";

/** A frame as a socket has it: text or binary. */
export type WsFrame = string | Uint8Array;

/** A message whose form is right; its fields are checked where they are used. */
export interface WsRequest {
  /** What is asked for. */
  readonly type: "push" | "pull" | "ping";
  /** What is said about it carries the same. */
  readonly id: WsId | undefined;
  /** All of its fields. */
  readonly fields: { readonly [name: string]: unknown };
}

const TYPES: ReadonlySet<unknown> = new Set<WsRequest["type"]>(["push", "pull", "ping"]);

/** The longest `id`, in characters: it goes out with every page. */
const MAX_ID = 256;

const PULL_FIELDS = [
  "clientId",
  "cursor",
  "limit",
  "tables",
  "own",
  "schemaVersion",
  "schema",
  "tell",
  "source",
] as const;

/** The form of a frame. */
export function formOfFrame(frame: WsFrame): Form {
  return typeof frame === "string" ? "json" : "protobuf";
}

/**
 * Reads a frame.
 *
 * @param frame What came.
 * @returns The message; `VALIDATION_ERROR` where it is none.
 */
export function decodeMessage(frame: WsFrame): Result<WsRequest> {
  const decoded = typeof frame === "string" ? parseText(frame) : decodeClientFrame(frame);
  if (!decoded.ok) return decoded;
  const { type, id } = decoded.value;
  if (!TYPES.has(type)) return invalid("type must be push, pull or ping");
  if (id !== undefined && !isId(id)) {
    return invalid(`id must be a number or a string of at most ${MAX_ID} characters`);
  }
  return ok({ type: type as WsRequest["type"], id, fields: decoded.value });
}

function parseText(text: string): Result<{ readonly [name: string]: unknown }> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return invalid("A text frame must be JSON", cause);
  }
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? ok(value as { readonly [name: string]: unknown })
    : invalid("A text frame must be a JSON object { type, … }");
}

function isId(id: unknown): id is WsId {
  return typeof id === "string" ? id.length <= MAX_ID : Number.isSafeInteger(id);
}

/**
 * The parameters of a pull that came as a message, as the query in which HTTP has them: so that both
 * are checked by the same rules.
 *
 * @param fields The message's fields.
 * @returns The query; `VALIDATION_ERROR` where a field is neither text, number nor list of texts.
 */
export function queryOfPull(
  fields: { readonly [name: string]: unknown },
): Result<URLSearchParams> {
  const query = new URLSearchParams();
  for (const name of PULL_FIELDS) {
    const value = fields[name];
    if (value === undefined || value === null) continue;
    if (typeof value === "string" || typeof value === "number") query.set(name, String(value));
    else if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
      query.set(name, value.join(","));
    } else return invalid(`${name} is of the wrong type`);
  }
  return ok(query);
}

/** A message as the frame in which a connection is answered. */
export function encodeMessage(message: WsGatewayMessage, form: Form): WsFrame {
  return form === "protobuf" ? encodeGatewayFrame(message) : JSON.stringify(message);
}

/** A page as a frame. */
export function encodePage(page: PageAnswer, id: WsId | undefined, form: Form): WsFrame {
  if (form === "protobuf") {
    return encodeGatewayFrame({ type: "page", ...withId(id), ...pageToAnswer(page) });
  }
  const named = id === undefined ? "" : `"id":${JSON.stringify(id)},`;
  return pageToJson(page, `"type":"page",${named}`);
}

/** The field `id` where there is one. */
export function withId(id: WsId | undefined): { id?: WsId } {
  return id === undefined ? {} : { id };
}

function invalid(message: string, cause?: unknown): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message, { cause }));
}
