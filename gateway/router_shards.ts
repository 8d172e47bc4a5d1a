import { createHash } from "node:crypto";
import type { LogSeq } from "@lakesync/core";
import type { Gateway } from "./gateway.ts";

/** A gateway of a router, and what it has. */
export interface Shard {
  /** The tables that it has. */
  readonly tables: readonly string[];
  /** The gateway. The router closes it. Its id names the shard. */
  readonly gateway: Gateway;
}

/** Which shard has which table. */
export class Shards {
  /** The gateways; the last one has the tables that no other has. */
  readonly gateways: readonly Gateway[];
  /** Names the partition: cursors of another one are not served. */
  readonly digest: string;
  readonly #indexOf: ReadonlyMap<string, number>;

  constructor(shards: readonly Shard[], rest: Gateway) {
    this.gateways = [...shards.map(({ gateway }) => gateway), rest];
    const ids = this.gateways.map(({ id }) => id);
    const indexOf = new Map<string, number>();
    for (const [index, { tables }] of shards.entries()) {
      for (const table of tables) {
        const other = indexOf.get(table);
        if (other !== undefined) {
          throw new TypeError(
            `Cannot give table "${table}" to the shards "${ids[other]}" and "${
              ids[index]
            }": one has it`,
          );
        }
        indexOf.set(table, index);
      }
    }
    if (new Set(ids).size < ids.length) {
      throw new TypeError(`Cannot route to gateways of the same id: ${ids.join(", ")}`);
    }
    this.#indexOf = indexOf;
    const partition = JSON.stringify([ids, [...indexOf].sort()]);
    this.digest = createHash("sha256").update(partition).digest("hex").slice(0, 8);
  }

  /** The gateway of the tables that no shard has; its clock is the router's. */
  get rest(): Gateway {
    return this.gateways.at(-1)!;
  }

  /** The place of a table's shard among the gateways. */
  indexOf(table: string): number {
    return this.#indexOf.get(table) ?? this.gateways.length - 1;
  }

  /** The tables of one shard out of these. */
  tablesOf(index: number, tables: readonly string[]): string[] {
    return tables.filter((table) => this.indexOf(table) === index);
  }

  /** One number for each shard. */
  seq(places: readonly LogSeq[]): LogSeq {
    return Object.fromEntries(
      this.gateways.map(({ id }, i) => [id, places[i] as number]),
    );
  }
}
