import { type KvContext, type KvHead, readHead } from "./kv_head.ts";

/** Times that an instance may give without writing anything. */
interface Reservation {
  /** The instance. */
  readonly by: string;
  /** No time above this was given before it. */
  readonly given: number;
  /** The last time of it. */
  readonly upTo: number;
}

/** How far ahead an instance reserves: so long it reads and writes nothing for its times. */
const RESERVED_MS = 250;

/**
 * The clock of all instances of a KV store, in ms since the Unix epoch. Each gives its own clock's
 * time, out of a stretch that it has reserved; one that finds another's stretch under way gives its
 * end. So no time is below one that any of them gave before.
 */
export class KvClock {
  readonly #context: KvContext;
  /** Names this instance. */
  readonly #by: string;
  #last = 0;

  constructor(context: KvContext) {
    this.#context = context;
    this.#by = context.random.uuid();
  }

  /** The time. */
  async now(): Promise<number> {
    const { kv, keys, clock } = this.#context;
    for (;;) {
      const [head, held] = await kv.getMany([keys.head, keys.clock]);
      const at = (head!.value as KvHead | null)?.at ?? 0;
      const reserved = held!.value as Reservation | null ??
        { by: this.#by, given: 0, upTo: -1 };
      const time = Math.max(Math.floor(clock.now()), at, reserved.given, this.#last);
      const mine = reserved.by === this.#by;
      // Of a stretch that is given to its end, the end may be given by all.
      if (time <= reserved.upTo && (mine || reserved.given === reserved.upTo)) {
        return this.#last = Math.max(this.#last, time);
      }
      const given = mine ? time : Math.max(time, reserved.upTo);
      // Ahead only where it is alone: by turns each would find the other's stretch under way.
      const ahead = mine && held!.versionstamp !== null ? RESERVED_MS : 0;
      const upTo = given > reserved.upTo ? given + ahead : reserved.upTo;
      const next: Reservation = { by: this.#by, given, upTo };
      const { ok } = await kv.atomic()
        .check({ key: keys.clock, versionstamp: held!.versionstamp })
        .set(keys.clock, next).commit();
      if (ok) return this.#last = Math.max(this.#last, given);
    }
  }

  /** Gives the rest of its stretch back, so that the next instance need not begin at its end. */
  async release(): Promise<void> {
    const { kv, keys } = this.#context;
    const { value, versionstamp } = await kv.get(keys.clock);
    const reserved = value as Reservation | null;
    if (reserved?.by !== this.#by) return;
    const { head } = await readHead(this.#context);
    const given = Math.max(this.#last, head.at);
    await kv.atomic().check({ key: keys.clock, versionstamp })
      .set(keys.clock, { by: this.#by, given, upTo: given } satisfies Reservation).commit();
  }
}
