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

/** What goes wrong with the object store for a while. */
export type LakeKind = "unavailable" | "lose-answer" | "linger";

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
    | { readonly do: "flush"; readonly instance: number }
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
      /** Whether it hits only the puts that commit: those of a table's metadata. */
      readonly commits: boolean;
      readonly chance: number;
      readonly ms: number;
    }
    | { readonly do: "log"; readonly kind: LogKind; readonly chance: number; readonly ms: number }
    | { readonly do: "rules"; readonly instance: number; readonly rules: Rules }
    | { readonly do: "claims"; readonly sub: string; readonly claims: OracleClaims }
    | { readonly do: "backup" }
    | { readonly do: "restore" }
    | { readonly do: "reset"; readonly keepLake: boolean }
  );

/** A run before it runs. */
export interface Schedule {
  readonly seed: number;
  readonly setting: Setting;
  /** In the order of their times. */
  readonly steps: readonly Step[];
}
