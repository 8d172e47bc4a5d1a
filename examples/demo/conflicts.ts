/** Two devices edit the same rows while they are offline. */
import type { Client } from "@lakesync/client";
import { type Hlc, unwrapOrThrow } from "@lakesync/core";
import type { Analyst } from "@lakesync/analyst";
import type { airports } from "./tables.ts";

/** A device of the demo. */
export type Device = Client<readonly [typeof airports]>;

/** What became of a row that both devices had edited. */
export interface Verdict {
  /** The row. */
  readonly row: string;
  /** What each did. */
  readonly edits: string;
  /** What both show now. */
  readonly shown: string;
  /** Why. */
  readonly why: string;
}

/** A change as the changelog has it. */
interface Change {
  readonly _op: string;
  readonly _columns: string | null;
  readonly _hlc: Hlc;
  readonly who: "A" | "B";
}

/** Edits the same three rows on both devices, A before B. */
export async function editOffline(a: Device, b: Device): Promise<void> {
  const onA = a.tables.airports;
  const onB = b.tables.airports;
  unwrapOrThrow(await onA.update("SEA", { city: "Seattle-Tacoma" }));
  unwrapOrThrow(await onB.update("SEA", { name: "Sea-Tac" }));
  unwrapOrThrow(await onA.update("JFK", { name: "Idlewild" }));
  unwrapOrThrow(await onB.update("JFK", { name: "Kennedy" }));
  unwrapOrThrow(await onA.delete("ORD"));
  unwrapOrThrow(await onB.update("ORD", { city: "Chicagoland" }));
}

/** What both devices show now, and why: read from the changelog, in which nothing is lost. */
export async function judge(a: Device, b: Device, analyst: Analyst): Promise<Verdict[]> {
  const nameOf = new Map([[a.clientId, "A"], [b.clientId, "B"]] as const);
  const verdicts: Verdict[] = [];
  for (const id of ["SEA", "JFK", "ORD"]) {
    const history = unwrapOrThrow(
      await analyst.query(
        "SELECT _op, _columns, _hlc::VARCHAR AS _hlc, _client_id FROM airports_changes WHERE id = ? AND _op <> 'INSERT' ORDER BY airports_changes._hlc",
        { params: [id] },
      ),
    ).rows;
    const changes = history.map((row): Change => ({
      _op: String(row["_op"]),
      _columns: row["_columns"] as string | null,
      _hlc: String(row["_hlc"]),
      who: nameOf.get(String(row["_client_id"])) ?? "A",
    }));
    const shown = unwrapOrThrow(await a.tables.airports.get(id));
    verdicts.push({
      row: id,
      edits: changes.map(({ who, _op, _columns }) => `${who} ${_op} ${_columns ?? ""}`.trim()).join(
        ", ",
      ),
      shown: shown === undefined ? "(deleted)" : `${shown.name}, ${shown.city}`,
      why: reason(changes),
    });
  }
  return verdicts;
}

function reason(changes: readonly Change[]): string {
  const deletion = changes.find(({ _op }) => _op === "DELETE");
  if (deletion !== undefined) {
    return `${deletion.who}'s DELETE ends the row's life, and an UPDATE makes no row`;
  }
  const columns = new Set(changes.map(({ _columns }) => _columns));
  if (columns.size === changes.length) {
    return "different columns: each keeps its own stamp, both stay";
  }
  const last = changes.at(-1)!;
  return `same column: the greater stamp wins, ${last.who}'s …${last._hlc.slice(-6)}`;
}

/** All rows of a device as one text, for comparing. */
export async function allRows(device: Device): Promise<string> {
  return JSON.stringify(unwrapOrThrow(await device.query("SELECT * FROM airports ORDER BY id")));
}
