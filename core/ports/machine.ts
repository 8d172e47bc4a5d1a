/** Physical time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May stand still or go back. */
  now(): number;
}

/** Waiting. */
export interface Scheduler {
  /**
   * Resolves after `ms` milliseconds, or as soon as the signal aborts; never rejects.
   * A pending delay does not keep a process alive.
   */
  delay(ms: number, options?: { signal?: AbortSignal }): Promise<void>;
}

/** Chance. */
export interface Random {
  /** So many random bytes. */
  bytes(length: number): Uint8Array;
  /** A version 4 UUID. */
  uuid(): string;
}

/** How grave a log line is. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Structured logs. Never throws. */
export interface Logger {
  /** Writes one line: what happened, and facts about it (never row values or tokens). */
  log(level: LogLevel, event: string, facts?: { readonly [key: string]: unknown }): void;
}
