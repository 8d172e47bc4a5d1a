import { createHash } from "node:crypto";
import {
  err,
  LakeSyncError,
  ok,
  type Result,
  type RowWrite,
  type TableSchema,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import { checkpointLines } from "./checkpoint.ts";
import type { CheckpointView, Freshness } from "./checkpoints.ts";
import { CallerView, rulesChanged } from "./caller_view.ts";
import type { GatewayLimits } from "./limits.ts";
import { bindRules } from "./joined_page.ts";
import type { Memberships } from "./memberships.ts";
import { parsePull } from "./pull.ts";
import type { RulesRegistry } from "./rules_registry.ts";

/** What a checkpoint is asked with. */
export interface CheckpointViewContext {
  /** Who asks. */
  readonly caller: Caller;
  /** The limits. */
  readonly limits: GatewayLimits;
  /** The tables of now. */
  readonly schema: () => Promise<Result<readonly TableSchema[]>>;
  /** The rules. */
  readonly rules: RulesRegistry;
  /** What rules find in other tables. */
  readonly memberships: Memberships;
}

/**
 * Reads the query of a checkpoint.
 *
 * @param query The URL's query: that of a pull, and `atLeast`, the least seq that will do.
 * @param context Who asks.
 * @returns What the caller may see and asks for, and how new it must be.
 */
export async function checkpointView(
  query: URLSearchParams,
  context: CheckpointViewContext,
): Promise<Result<{ view: CheckpointView } & Freshness>> {
  const { caller, limits } = context;
  const parsed = parsePull(query, { caller, limits });
  if (!parsed.ok) return parsed;
  const atLeast = query.get("atLeast");
  if (atLeast !== null && !/^\d{1,15}$/.test(atLeast)) {
    return err(new LakeSyncError("VALIDATION_ERROR", "atLeast must be a seq: a whole number"));
  }
  const allowed = await CallerView.open(context.rules, parsed.value);
  if (!allowed.ok) return allowed;
  const { digest, since, rules } = allowed.value;
  const asked = parsed.value.tables;
  const tablesOfNow = async (): Promise<Result<readonly string[]>> => {
    const schema = await context.schema();
    if (!schema.ok) return schema;
    const names = schema.value.map(({ table }) => table)
      .filter((name) => rules?.covers(name) !== false);
    return ok(asked === undefined ? names : names.filter((name) => asked.includes(name)));
  };
  const known = await tablesOfNow();
  if (!known.ok) return known;
  const view: CheckpointView = {
    digest,
    variant: createHash("sha256").update(known.value.join()).digest("hex").slice(0, 8),
    whole: rules === undefined ? known.value : undefined,
    async lines(snapshot, options) {
      // Read after the snapshot: a table's schema is stored before its first entry.
      const tables = await tablesOfNow();
      if (!tables.ok) return tables;
      const stands = await allowed.value.stands();
      if (!stands.ok) return stands.error.code === "CHECKPOINT_REQUIRED" ? rulesChanged() : stands;
      const bound = await bindRules(rules, snapshot.position.seq, context.memberships);
      if (!bound.ok) return bound;
      const sees = bound.value && ((row: RowWrite) => bound.value!.seesState(row));
      return ok(checkpointLines(snapshot, { ...options, tables: tables.value, sees }));
    },
  };
  // From an older one pulls could not go on; nor could they behind a change of membership that has
  // too many rows for a page, and that may be why it is asked for.
  const joined = (rules?.joins(allowed.value.tables).length ?? 0) > 0;
  const least = atLeast === null || joined ? undefined : Math.max(Number(atLeast), since);
  return ok({ view, atLeast: least });
}
