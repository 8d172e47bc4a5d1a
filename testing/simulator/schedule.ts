/** What a run is made of, as data: generated from the seed first, so that it can be cut down. */
import type { Rules } from "@lakesync/core";
import type { OracleClaims } from "./rules_oracle.ts";

/** A change that a device tries to make; what it comes to depends on the rows that it has. */
export interface WriteSpec {
  readonly table: "items" | "notes";
  readonly id: string;
  readonly how: "delete" | "change";
  /** A bit for each column: whether a change carries it. */
  readonly columns: number;
  /**
   * What rules go by: an insert carries it, an update only where the row moves. Undefined where there
   * are no rules.
   */
  readonly judged?: {
    readonly team: string | null;
    readonly level: number | null;
    readonly moves: boolean;
  };
}

/** Users, tokens, and rules. */
export interface RulesSetting {
  /** The rules at first; null for none. */
  readonly rules: Rules | null;
  /** What each user's tokens say at first. */
  readonly claims: { readonly [sub: string]: OracleClaims };
  /** A token is good for so long, in s. */
  readonly tokenSeconds: number;
}

/** A device's setting. */
export interface DeviceSetting {
  /** How wrong its clock is at first, in ms. */
  readonly skewMs: number;
  /** Whether it syncs by itself. */
  readonly auto: boolean;
  /** Whether it keeps a pull under way. */
  readonly live: boolean;
  /** The form of the messages on its WebSocket, which it has where it is live; undefined where it has none. */
  readonly socket?: "json" | "protobuf";
  readonly intervalMs: number;
}

/** How rows that changed are taken out of the files of current rows. */
export type DeleteForm = "rewrite" | "positions" | "vectors" | "equality";

/** A lake that is kept in shape. */
export interface LakeSetting {
  /** How many do so, each for itself. */
  readonly maintainers: number;
  /** How many buckets tables of current rows have. */
  readonly buckets: number;
  /** Whether its tables are in a REST catalogue, and what that can do; undefined for files alone. */
  readonly rest?: { readonly idempotent: boolean };
}

/** What a world is made of. */
export interface Setting {
  readonly devices: readonly DeviceSetting[];
  /** How many instances share the store. */
  readonly instances: number;
  /** The instances share a simulated store, or one runs on SQLite. */
  readonly store: "shared" | "sqlite";
  /** The most items of a page. */
  readonly pageItems: number;
  /** The most bytes of a page. */
  readonly pageBytes: number;
  /** The most deltas of a push. */
  readonly pushDeltas: number;
  /** Clocks tick so coarsely, in ms. */
  readonly grainMs: number;
  /** About how long a device's disk takes, in ms. */
  readonly diskMs: number;
  /** How wrong each instance's own clock is, in ms: the store's is what counts. */
  readonly instanceSkewMs: readonly number[];
  /** Whether there is a database that is flushed to behind the lake. */
  readonly database?: true;
  /** How the lake is kept; undefined where it is only flushed to. */
  readonly lake?: LakeSetting;
  /** Who may what; undefined where there is no authentication. */
  readonly auth?: RulesSetting;
}

/** What goes wrong on the way for a while. */
export type NetKind =
  | "drop request"
  | "drop answer"
  | "reset"
  | "duplicate"
  | "delay"
  | "break off";

/** What goes wrong with the lake for a while; `half`: of what is to be removed some is. */
export type LakeKind = "unavailable" | "lose-answer" | "linger" | "slow" | "half";

/** What goes wrong with the database for a while; `half`: of a batch's tables some are committed. */
export type DatabaseKind = "fail" | "half" | "lose-answer" | "late" | "hang";

/** What goes wrong with the log's store for a while. */
export type LogKind = "fail" | "lose-answer";

/** Something that happens at a time. */
export type Step =
  & { readonly at: number }
  & (
    | { readonly do: "write"; readonly device: number; readonly writes: readonly WriteSpec[] }
    | { readonly do: "sync"; readonly device: number }
    | { readonly do: "pause"; readonly device: number; readonly ms: number }
    | { readonly do: "kill device"; readonly device: number; readonly ms: number }
    | { readonly do: "restart device"; readonly device: number }
    | { readonly do: "upgrade device"; readonly device: number }
    | { readonly do: "freeze device"; readonly device: number; readonly ms: number }
    | { readonly do: "device clock"; readonly device: number; readonly skewMs: number }
    | { readonly do: "kill gateway"; readonly instance: number; readonly ms: number }
    | { readonly do: "restart gateway"; readonly instance: number }
    | { readonly do: "freeze gateway"; readonly instance: number; readonly ms: number }
    | { readonly do: "gateway clock"; readonly skewMs: number }
    | { readonly do: "upgrade gateway"; readonly instance: number }
    | {
      readonly do: "flush";
      readonly instance: number;
      /** The instance is killed when it has sent so many more requests to the lake. */
      readonly dies?: number;
    }
    | {
      readonly do: "maintain";
      readonly maintainer: number;
      readonly deletes: DeleteForm;
      /** It is killed when it has sent so many requests. */
      readonly dies?: number;
    }
    | { readonly do: "freeze maintainer"; readonly maintainer: number; readonly ms: number }
    | { readonly do: "analyse" }
    | {
      readonly do: "net";
      readonly device: number;
      readonly kind: NetKind;
      readonly chance: number;
      readonly ms: number;
    }
    | {
      readonly do: "partition";
      readonly device: number;
      readonly instance: number;
      readonly ms: number;
    }
    | {
      readonly do: "lake";
      readonly kind: LakeKind;
      /** Whether it hits only what commits: puts of a table's metadata, posts to the catalogue. */
      readonly commits: boolean;
      readonly chance: number;
      readonly ms: number;
    }
    | {
      readonly do: "database";
      readonly kind: DatabaseKind;
      readonly chance: number;
      readonly ms: number;
    }
    | { readonly do: "log"; readonly kind: LogKind; readonly chance: number; readonly ms: number }
    | { readonly do: "rules"; readonly instance: number; readonly rules: Rules }
    | { readonly do: "claims"; readonly sub: string; readonly claims: OracleClaims }
    | { readonly do: "backup" }
    | {
      readonly do: "restore";
      /** The lake stays as it is, and where it is ahead then there is another one so many ms later. */
      readonly keepLake?: number;
    }
    | { readonly do: "reset"; readonly keepLake: boolean }
  );

/** A run before it runs. */
export interface Schedule {
  readonly seed: number;
  readonly setting: Setting;
  /** In the order of their times. */
  readonly steps: readonly Step[];
}
