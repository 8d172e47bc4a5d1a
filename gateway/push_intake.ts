import { type LogStore, ok, type PushAnswer, type Result } from "@lakesync/core";
import type { Caller } from "./caller.ts";
import type { PreparedPush } from "./gateway_options.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Memberships } from "./memberships.ts";
import { appendPush, type DecodedPush, decodePush } from "./push.ts";
import type { RulesRegistry } from "./rules_registry.ts";
import type { SchemaRegistry, SchemaSet } from "./schema_registry.ts";
import { serverStamp } from "./server_clock.ts";

/** What pushes are taken by. */
export interface PushIntakeParts {
  /** The log. */
  readonly store: LogStore;
  /** The tables. */
  readonly schema: SchemaRegistry;
  /** The rules. */
  readonly rules: RulesRegistry;
  /** What rules find in other tables. */
  readonly memberships: Memberships;
  /** The limits. */
  readonly limits: GatewayLimits;
}

/** Takes pushes: decodes each by the tables of now, and appends it by the rules of now. */
export class PushIntake {
  readonly #parts: PushIntakeParts;

  constructor(parts: PushIntakeParts) {
    this.#parts = parts;
  }

  /** See `Gateway.push`. */
  async push(body: unknown, caller: Caller): Promise<Result<PushAnswer>> {
    const prepared = await this.prepare(body, caller);
    if (!prepared.ok) return prepared;
    const appended = await prepared.value.append();
    if (!appended.ok) return appended;
    const serverHlc = await serverStamp(this.#parts.store);
    if (!serverHlc.ok) return serverHlc;
    return ok({ ...appended.value, serverHlc: serverHlc.value });
  }

  /** See `Gateway.preparePush`. */
  async prepare(body: unknown, caller: Caller): Promise<Result<PreparedPush>> {
    const decoded = await this.#decode(body, caller);
    if (!decoded.ok) return decoded;
    return ok({
      append: ({ late = false } = {}) =>
        appendPush(this.#parts.store, decoded.value, { ...this.#parts, late }),
    });
  }

  async #decode(body: unknown, caller: Caller): Promise<Result<DecodedPush>> {
    const { schema, limits } = this.#parts;
    const decodeBy = ({ index, version }: SchemaSet) =>
      decodePush(body, { caller, tables: index, schemaVersion: version, limits });
    const { known } = schema;
    const decoded = decodeBy(known);
    if (!blamesSchema(decoded)) return decoded;
    // Another instance may have been given a newer schema.
    const current = await schema.current();
    if (!current.ok) return current;
    return current.value === known ? decoded : decodeBy(current.value);
  }
}

/** Whether a push is refused for a reason that a newer schema may take away. */
function blamesSchema(decoded: Result<DecodedPush>): boolean {
  if (!decoded.ok) return decoded.error.code === "CONFLICT";
  return decoded.value.deltas.some(({ fault }) => fault?.code === "SCHEMA_ERROR");
}
