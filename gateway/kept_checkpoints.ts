import {
  type Logger,
  type LogStore,
  ok,
  type Random,
  type Result,
  type Scheduler,
} from "@lakesync/core";
import type { Caller } from "./caller.ts";
import { CheckpointCache } from "./checkpoint_cache.ts";
import { CheckpointObjects } from "./checkpoint_objects.ts";
import { checkpointView } from "./checkpoint_view.ts";
import { Checkpoints, type CheckpointStream } from "./checkpoints.ts";
import type { GatewayOptions } from "./gateway_options.ts";
import type { GatewayLimits } from "./limits.ts";
import type { Memberships } from "./memberships.ts";
import type { RulesRegistry } from "./rules_registry.ts";
import type { SchemaRegistry } from "./schema_registry.ts";

/** What a gateway's checkpoints are made with. */
export interface KeptCheckpointsParts {
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
  /** Chance. */
  readonly random: Random;
  /** Waiting. */
  readonly scheduler: Scheduler;
  /** Logs. */
  readonly logger: Logger;
  /** Aborted when streams are to end. */
  readonly closing: AbortSignal;
}

/** A gateway's checkpoints, kept where its options say so. */
export class KeptCheckpoints {
  readonly #parts: KeptCheckpointsParts;
  readonly #cache: CheckpointCache | undefined;
  readonly #objects: CheckpointObjects | undefined;
  readonly #checkpoints: Checkpoints;

  constructor(
    { id, checkpointCache, checkpointObjects }: GatewayOptions,
    parts: KeptCheckpointsParts,
  ) {
    this.#parts = parts;
    const { store, limits, random, scheduler, logger, closing } = parts;
    // An id may be "." or have a "~", a key's segment may not.
    const prefix = `gateway-${id.replaceAll("~", "%7E")}`;
    this.#cache = checkpointCache &&
      new CheckpointCache(checkpointCache, { prefix, random, scheduler, logger });
    this.#objects = checkpointObjects && new CheckpointObjects({
      objects: checkpointObjects,
      prefix,
      log: store,
      random,
      logger,
      closing,
    });
    this.#checkpoints = new Checkpoints({
      objects: this.#objects,
      store,
      cache: this.#cache,
      maxLag: limits.checkpointLag,
      closing,
    });
  }

  /** See `Gateway.hasCheckpoint`. */
  async has(
    query: URLSearchParams,
    { caller, tag }: { caller: Caller; tag: string },
  ): Promise<Result<boolean>> {
    const asked = await this.#asked(query, caller);
    if (!asked.ok) return asked;
    const { view, atLeast } = asked.value;
    return await this.#checkpoints.isUnchanged(view, { atLeast, tag });
  }

  /** See `Gateway.checkpoint`. */
  async open(
    query: URLSearchParams,
    { caller, signal }: { caller: Caller; signal?: AbortSignal },
  ): Promise<Result<CheckpointStream>> {
    const asked = await this.#asked(query, caller);
    if (!asked.ok) return asked;
    const { view, atLeast } = asked.value;
    return await this.#checkpoints.open(view, { atLeast, signal });
  }

  #asked(query: URLSearchParams, caller: Caller): ReturnType<typeof checkpointView> {
    const { limits, schema, rules, memberships } = this.#parts;
    return checkpointView(query, {
      caller,
      limits,
      schema: async () => {
        const current = await schema.current();
        return current.ok ? ok(current.value.tables) : current;
      },
      rules,
      memberships,
    });
  }

  /** Lets go of where they are kept, once nothing is written there any more. */
  async close(): Promise<void> {
    await this.#cache?.close();
    await this.#objects?.settled();
  }
}
