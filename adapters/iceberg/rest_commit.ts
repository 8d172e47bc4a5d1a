import { type Clock, LakeSyncError, type Random, type Result } from "@lakesync/core";
import type { CommitOutcome } from "./catalogue.ts";
import { ancestry, currentSnapshot, type TableMetadata } from "./metadata.ts";
import type { Json64 } from "./json64.ts";
import { isOpen, refusal, type RestAnswer, type RestClient } from "./rest_client.ts";
import { asked } from "./rest_session.ts";
import { tableUpdates } from "./rest_updates.ts";
import type { TableVersion } from "./table.ts";

/** What a commit to a REST catalogue is made with. */
export interface RestCommitOptions {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly random: Random;
  /** Where the table is asked for. */
  readonly path: string;
  /** The table's name. */
  readonly table: string;
  /** Whether the catalogue takes `Idempotency-Key`. */
  readonly idempotent: boolean;
  /** How often the commit is tried where it is open what became of it. */
  readonly attempts: number;
  /** How many commits to the table were lost in a row before this one. */
  readonly losses: number;
  /** The newest version, asked anew. */
  load(): Promise<Result<TableVersion | undefined>>;
  /** The version that an answer holds; undefined where it holds none. */
  versionOf(answer: RestAnswer): TableVersion | undefined;
}

/**
 * Commits to a REST catalogue. Where an answer leaves open whether the commit was carried out, the
 * snapshot's id is looked for among the ancestors of `main` before anything is tried again. So after
 * a 409 too: a proxy may have asked twice.
 */
export async function restCommit(
  options: RestCommitOptions,
  base: TableVersion,
  next: TableMetadata,
): Promise<CommitOutcome> {
  const { client, path, table, attempts } = options;
  const body = { requirements: requirementsOf(base.metadata, next), updates: [] as Json64[] };
  body.updates.push(...tableUpdates(base.metadata, next));
  const headers: { [name: string]: string } = options.idempotent
    ? { "Idempotency-Key": uuidV7(options) }
    : {};
  /** Why it is open whether an earlier try was carried out, where it is. */
  let open: LakeSyncError | undefined;
  for (let attempt = 1;; attempt++) {
    const sent = await asked(() =>
      client.send({ method: "POST", path, headers, body, once: true })
    );
    if (!sent.ok) {
      // It was not sent: there was nothing to authorise it with.
      const outcome = open === undefined ? "failed" : "unknown";
      return { status: outcome, error: open ?? sent.error };
    }
    const answer = sent.value;
    if (answer.status === 200) {
      const version = options.versionOf(answer);
      if (version !== undefined) return { status: "committed", version };
    }
    const error = refusal(answer, `the commit to "${table}"`);
    const lost = answer.status === 409;
    if (!lost && !isOpen(answer.status) && answer.status !== 200) {
      return open === undefined ? { status: "failed", error } : { status: "unknown", error: open };
    }
    if (!lost) open = error;
    await client.wait(attempt + options.losses, answer);
    const newest = await options.load();
    if (!newest.ok || newest.value === undefined) {
      return { status: "unknown", error: open ?? (newest.ok ? error : newest.error) };
    }
    switch (fateOf(newest.value.metadata, base.metadata, next)) {
      case "committed":
        return { status: "committed", version: newest.value };
      case "passed":
        return { status: "lost" };
      case "unclear":
        return { status: "unknown", error: open ?? error };
    }
    if (open === undefined) return { status: "lost" };
    if (attempt >= attempts) return { status: "unknown", error: open };
  }
}

/** What must hold for the updates to be carried out. */
function requirementsOf(base: TableMetadata, next: TableMetadata): Json64[] {
  const requirements: Json64[] = [
    { type: "assert-table-uuid", uuid: base["table-uuid"] },
    {
      type: "assert-ref-snapshot-id",
      ref: "main",
      "snapshot-id": currentSnapshot(base)?.["snapshot-id"] ?? null,
    },
  ];
  if (next["last-column-id"] !== base["last-column-id"]) {
    // Somebody may have changed the schema alone: then field ids would be given twice.
    requirements.push(
      { type: "assert-current-schema-id", "current-schema-id": base["current-schema-id"] },
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": base["last-column-id"] },
    );
  }
  return requirements;
}

/**
 * What became of a commit, by the newest metadata: `committed`; `passed`: another one was carried out
 * on its base, so it never will be; `open`: it may be carried out yet; `unclear`: snapshots are gone
 * that would tell.
 */
function fateOf(
  newest: TableMetadata,
  base: TableMetadata,
  next: TableMetadata,
): "committed" | "passed" | "open" | "unclear" {
  const from = currentSnapshot(base)?.["snapshot-id"];
  const ours = currentSnapshot(next)?.["snapshot-id"];
  const now = currentSnapshot(newest)?.["snapshot-id"];
  if (now === from) return "open";
  let first: bigint | undefined;
  for (const snapshot of ancestry(newest)) {
    if (snapshot["snapshot-id"] === ours) return "committed";
    if (snapshot["snapshot-id"] === from) return "passed";
    first = snapshot["parent-snapshot-id"];
  }
  return from === undefined && now !== undefined && first === undefined ? "passed" : "unclear";
}

/** @see {@link https://www.rfc-editor.org/rfc/rfc9562#section-5.7 | RFC 9562, UUID version 7} */
function uuidV7({ clock, random }: { clock: Clock; random: Random }): string {
  const bytes = random.bytes(16);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const now = clock.now();
  view.setUint32(0, Math.floor(now / 0x1_0000));
  view.setUint16(4, now % 0x1_0000);
  view.setUint8(6, view.getUint8(6) & 0x0f | 0x70);
  view.setUint8(8, view.getUint8(8) & 0x3f | 0x80);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
