import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import {
  type Claims,
  deltaIdText,
  err,
  isClientId,
  LakeSyncError,
  type LogStore,
  ok,
  parseDelta,
  type PushAnswer,
  type Result,
  type TableIndex,
} from "@lakesync/core";
import { type Caller, checkClientId, claimsOf, isOwnClientId } from "./caller.ts";
import type { GatewayLimits } from "./limits.ts";
import { type DecodedDelta, planPush, type PushPlan, transactionOf } from "./plan_push.ts";
import type { Memberships } from "./memberships.ts";
import { JOINED_KEY, RULES_KEY, type RulesRegistry } from "./rules_registry.ts";
import { membersNow } from "./write_members.ts";
import { WriteRules } from "./rules_write.ts";

/** A push whose form is right as a whole. */
export interface DecodedPush {
  /** Who pushes. */
  readonly clientId: string;
  /** Its deltas, each decoded or refused. */
  readonly deltas: readonly DecodedDelta[];
  /** What its maker's token says, for rules. */
  readonly claims: Claims;
}

/** What a push is decoded against. */
export interface DecodePushContext {
  /** Who sent it. */
  readonly caller: Caller;
  /** The gateway's tables. */
  readonly tables: ReadonlyMap<string, TableIndex>;
  /** The greatest version among them. */
  readonly schemaVersion: number;
  /** The limits. */
  readonly limits: GatewayLimits;
}

/** A push whose form is right, before its deltas are looked at. */
export interface PushHead {
  /** Who pushes. */
  readonly clientId: string;
  /** Its deltas as they were sent. */
  readonly deltas: readonly unknown[];
}

/**
 * Reads the body of a push, but for its deltas.
 *
 * @param body Its parsed JSON.
 * @param context What it is read against.
 * @returns Who pushes what; `VALIDATION_ERROR`, `PAYLOAD_TOO_LARGE`, `CONFLICT` or `FORBIDDEN` where
 * all of it is refused.
 */
export function readPushHead(
  body: unknown,
  context: Omit<DecodePushContext, "tables">,
): Result<PushHead> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return invalid("The body must be an object { clientId, deltas }");
  }
  const { clientId: givenId, deltas, schemaVersion } = body as { readonly [key: string]: unknown };
  const clientId = checkClientId(context.caller, givenId);
  if (!clientId.ok) return clientId;
  if (!Array.isArray(deltas)) return invalid("deltas must be a list");
  const { limits } = context;
  if (deltas.length > limits.pushDeltas) {
    return err(
      new LakeSyncError(
        "PAYLOAD_TOO_LARGE",
        `The push has ${deltas.length} deltas: at most ${limits.pushDeltas} are taken at once, split it`,
      ),
    );
  }
  if (schemaVersion !== undefined) {
    if (
      typeof schemaVersion !== "number" || !Number.isSafeInteger(schemaVersion) || schemaVersion < 0
    ) {
      return invalid("schemaVersion must be a whole number");
    }
    if (schemaVersion > context.schemaVersion) {
      return err(
        new LakeSyncError(
          "CONFLICT",
          `The client's schema version ${schemaVersion} is above the gateway's ${context.schemaVersion}: put the new schema to the gateway first, then push again`,
          { details: { schemaVersion: context.schemaVersion } },
        ),
      );
    }
  }
  return ok({ clientId: clientId.value, deltas });
}

/**
 * Reads the body of a push.
 *
 * @param body Its parsed JSON.
 * @param context What it is read against.
 * @returns The push; `VALIDATION_ERROR`, `PAYLOAD_TOO_LARGE`, `CONFLICT` or `FORBIDDEN` where all of
 * it is refused.
 */
export function decodePush(body: unknown, context: DecodePushContext): Result<DecodedPush> {
  const head = readPushHead(body, context);
  if (!head.ok) return head;
  const { clientId, deltas } = head.value;
  const decoded: DecodedDelta[] = [];
  for (let index = 0; index < deltas.length; index++) {
    const value = deltas[index];
    const maker = clientIdOf(value);
    if (
      maker !== undefined && maker !== clientId &&
      !isOwnClientId(context.caller, { own: clientId, other: maker })
    ) {
      return err(
        new LakeSyncError(
          "FORBIDDEN",
          `deltas[${index}].clientId belongs to another subject: push only deltas of your own`,
          { details: { index } },
        ),
      );
    }
    decoded.push(decodeDelta(index, value, context));
  }
  return ok({ clientId, deltas: decoded, claims: claimsOf(context.caller, clientId) });
}

function decodeDelta(index: number, value: unknown, context: DecodePushContext): DecodedDelta {
  const { limits, tables } = context;
  const sent = typeof value === "object" && value !== null && "deltaId" in value
    ? value.deltaId
    : undefined;
  const deltaId = typeof sent === "string" ? sent.slice(0, 64) : "";
  const refuse = (code: "SCHEMA_ERROR" | "BAD_DELTA_ID" | "TOO_LARGE", message: string) => ({
    index,
    deltaId,
    tx: transactionOf(value),
    delta: undefined,
    fault: { code, message },
  });
  const parsed = parseDelta(value, tables);
  if (parsed.delta === undefined) return refuse("SCHEMA_ERROR", parsed.fault);
  const { delta } = parsed;
  const idText = deltaIdText(delta);
  // A unit of text is at most three bytes, and the text that is hashed lacks only the two ids: a
  // delta is worth measuring only where that could come to the limit.
  if (idText.length * 4 > limits.deltaBytes || hasUnknownFields(value)) {
    const bytes = jsonBytes(value);
    if (bytes > limits.deltaBytes) {
      return refuse(
        "TOO_LARGE",
        `Its JSON has more than the ${limits.deltaBytes} bytes that are taken: split it`,
      );
    }
  }
  if (hash("sha256", idText) !== delta.deltaId) {
    return refuse("BAD_DELTA_ID", "deltaId is not the SHA-256 of the delta's canonical JSON");
  }
  const tx = delta.txId === undefined ? undefined : transactionOf(delta);
  return { index, deltaId, tx, delta, fault: undefined };
}

/** The maker that a delta names, also where the rest of it is malformed. */
function clientIdOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("clientId" in value)) return undefined;
  return isClientId(value.clientId) ? value.clientId : undefined;
}

/** Tells whether a delta was sent with more than its fields: they are left out but count as bytes. */
function hasUnknownFields(value: unknown): boolean {
  const { columns, txId } = value as { columns: readonly object[]; txId?: unknown };
  if (hasMoreKeys(value as object, txId === undefined ? 7 : 8)) return true;
  for (const item of columns) if (hasMoreKeys(item, 2)) return true;
  return false;
}

/** Counts without a list of them: four lists for each delta are more than all that is kept of it. */
function hasMoreKeys(value: object, most: number): boolean {
  let keys = 0;
  for (const key in value) if (Object.hasOwn(value, key) && ++keys > most) return true;
  return false;
}

function jsonBytes(value: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(value));
  } catch {
    return Infinity; // nested too deeply, in a field that a delta does not have
  }
}

/** What {@linkcode appendPush} goes by. */
export interface AppendPushContext {
  /** The limits. */
  readonly limits: GatewayLimits;
  /** The rules. */
  readonly rules: RulesRegistry;
  /** What rules find in other tables. */
  readonly memberships: Memberships;
  /**
   * Whether it follows a delta that was too far ahead.
   *
   * @default {false}
   */
  readonly late?: boolean;
}

/** What became of a push: its answer but for the clock, by one log. */
export type PushOutcome = Omit<PushAnswer, "serverHlc" | "seq"> & { readonly seq: number };

/** So often a push looks up what rules find in other tables before it gives way to those who change it. */
const LOOKS = 10;

/**
 * Appends what of a push may be appended.
 *
 * @param store The log.
 * @param push The decoded push.
 * @param context The limits and the rules.
 * @returns The answer (the caller adds the clock).
 */
export async function appendPush(
  store: LogStore,
  push: DecodedPush,
  context: AppendPushContext,
): Promise<Result<PushOutcome>> {
  for (let i = 0; i < LOOKS; i++) {
    const outcome = await tryAppend(store, push, context);
    if (outcome !== "moved") return outcome;
  }
  return err(
    new LakeSyncError(
      "BACKPRESSURE",
      "What the rules look into changes all the time: push the same again in a moment",
    ),
  );
}

async function tryAppend(
  store: LogStore,
  push: DecodedPush,
  context: AppendPushContext,
): Promise<Result<PushOutcome> | "moved"> {
  const deltas = push.deltas.flatMap(({ delta }) => delta === undefined ? [] : [delta]);
  const members = await membersNow(push.claims, { store, ...context });
  if (!members.ok) return members;
  let plan: PushPlan | undefined;
  let moved = false;
  const appended = await store.append({
    clientId: push.clientId,
    deltas,
    rows: deltas,
    // Read in the same commit: no delta gets past rules that were put before it.
    values: [RULES_KEY, JOINED_KEY],
    plan(view) {
      const inForce = context.rules.parse(view.value(RULES_KEY));
      const known = members.value;
      // What rules find in other tables was looked up before: where it may have changed, once more.
      moved = inForce !== undefined && inForce.joined.size > 0 &&
        (known?.text !== inForce.text || known.joined !== view.value(JOINED_KEY));
      if (moved) return { entries: [], rows: [] };
      const { maxDriftMs } = context.limits;
      const rules = inForce &&
        { inForce, write: new WriteRules(inForce, push.claims, known?.counts) };
      const { late = false } = context;
      plan = planPush(push.deltas, view, { now: view.now, maxDriftMs, rules, late });
      return plan;
    },
  });
  if (!appended.ok) return appended;
  if (moved) return "moved";
  const { accepted = 0, duplicates = 0, rejected = [] } = plan ?? {};
  return ok({ accepted, duplicates, rejected, seq: appended.value.head.seq });
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
