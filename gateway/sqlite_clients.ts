import { compareHlc, type Delta, type Hlc } from "@lakesync/core";
import { storedHlc } from "./sqlite_entry.ts";
import type { Statements } from "./sqlite_statements.ts";
import { storedText } from "./sqlite_text.ts";

/** A client that the store knows. */
export interface KnownClient {
  /** Its number. */
  readonly no: number;
  /** The greatest stamp of its that the store remembers: above it nothing can be a duplicate. */
  greatest: Hlc | undefined;
}

/** Clients as a commit that is under way sees them. */
export type StagedClients = Map<string, KnownClient>;

/** So many are kept in memory. */
const MAX_KNOWN = 10_000;

/** The clients of a SQLite log, and which of their deltas it has. */
export class SqliteClients {
  readonly #statements: Statements;
  readonly #known = new Map<string, KnownClient>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Takes over what a commit has changed. */
  publish(staged: StagedClients): void {
    for (const [clientId, client] of staged) this.#known.set(clientId, client);
    if (this.#known.size > MAX_KNOWN) this.#known.clear();
  }

  /** A client, made where there is none. */
  get(clientId: string, staged: StagedClients): KnownClient {
    const known = this.#find(clientId, staged);
    if (known !== undefined) return known;
    const { no } = this.#statements.addClient.get(storedText(clientId)) as { no: number };
    const client: KnownClient = { no, greatest: undefined };
    staged.set(clientId, client);
    return client;
  }

  /** The seq of the same delta, where the store remembers it. */
  duplicate(delta: Delta, staged: StagedClients): number | undefined {
    const client = this.#find(delta.clientId, staged);
    if (client?.greatest === undefined || compareHlc(delta.hlc, client.greatest) > 0) {
      return undefined;
    }
    const hlc = storedHlc(delta.hlc);
    for (const row of this.#statements.sameStamp.iterate(client.no, hlc)) {
      const { seq, json } = row as unknown as { seq: number; json: string };
      if ((JSON.parse(json) as Delta).deltaId === delta.deltaId) return seq;
    }
    const kept = this.#statements.kept.get(client.no, hlc, delta.deltaId);
    return (kept as { seq: number } | undefined)?.seq;
  }

  #find(clientId: string, staged: StagedClients): KnownClient | undefined {
    const known = staged.get(clientId);
    if (known !== undefined) return known;
    const cached = this.#known.get(clientId);
    let client: KnownClient | undefined;
    if (cached === undefined) {
      const row = this.#statements.client.get(storedText(clientId)) as { no: number } | undefined;
      if (row === undefined) return undefined;
      const { greatest } = this.#statements.greatest.get(row.no, row.no) as {
        greatest: string | null;
      };
      client = { no: row.no, greatest: greatest ?? undefined };
    } else {
      // A copy: this commit may fail.
      client = { ...cached };
    }
    staged.set(clientId, client);
    return client;
  }
}
