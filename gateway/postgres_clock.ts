import type { Clock } from "@lakesync/core";
import type { PgClient } from "./postgres_driver.ts";
import type { PostgresStatements } from "./postgres_statements.ts";

/**
 * The clock of a Postgres log: the database's, for all instances, and never back. The last time that
 * was given stands in `clock_given`, which costs no sync; that table is unlogged, so a crash of the
 * server empties it. For then `clock` has a ceiling that no given time is above, raised by a second
 * at a time: without the last time the clock goes on from the ceiling.
 */
export class PostgresClock {
  readonly #clock: Clock | undefined;
  readonly #statements: PostgresStatements;

  /**
   * @param clock Where time comes from; undefined for the database's.
   * @param statements The log's statements.
   */
  constructor(clock: Clock | undefined, statements: PostgresStatements) {
    this.#clock = clock;
    this.#statements = statements;
  }

  /** Physical time, as statements take it: null stands for the database's. */
  get time(): number | null {
    return this.#clock === undefined ? null : Math.floor(this.#clock.now());
  }

  /** The time in ms. Not within a transaction: what it stores must not be undone. */
  async now(client: PgClient): Promise<number> {
    const values = [this.time];
    const ticked = await client.query({ ...this.#statements.tick, values });
    const given = ticked.rows[0] ??
      (await client.query({ ...this.#statements.raise, values })).rows[0];
    return Number(given!["at"]);
  }
}
