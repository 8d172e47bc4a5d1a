import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Delta,
  type LogSnapshot,
  type LogStore,
  ok,
  type Result,
  unwrapOrThrow,
} from "@lakesync/core";
import { openSqliteLogStore } from "@lakesync/gateway";
import { Line } from "./line.ts";
import type { SimProcess } from "./process.ts";
import type { SharedLogOptions } from "./shared_log.ts";
import type { VirtualTime } from "./virtual_time.ts";

/**
 * One instance's log in real SQLite files. A killed process leaves the files as they are at that
 * moment, with what its last commits left in the WAL; the next one opens a copy of them.
 */
export class SqliteLog {
  readonly #options: SharedLogOptions & { readonly time: VirtualTime };
  readonly #root: string;
  readonly #line = new Line();
  #generation = 0;
  #epoch = "";
  #store: LogStore | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: SharedLogOptions & { readonly time: VirtualTime }) {
    this.#options = options;
    const memory = "/dev/shm";
    this.#root = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), "lakesync-sim-"));
    mkdirSync(this.#directory);
  }

  /** The log as it is now. */
  get line(): Line {
    return this.#line;
  }

  get #directory(): string {
    return join(this.#root, String(this.#generation));
  }

  /** The store as somebody sees it for whom no time passes: for checks. */
  peek(): LogStore {
    return this.#store!;
  }

  /** The epoch of the log, also while nobody has it open; empty before it is made. */
  get epoch(): string {
    return this.#store?.epoch ?? this.#epoch;
  }

  /** What a killed process leaves behind becomes the files of the next one. */
  killed(): void {
    const store = this.#store;
    if (store === undefined) return;
    this.#epoch = store.epoch;
    const from = this.#directory;
    this.#generation++;
    mkdirSync(this.#directory);
    for (const name of readdirSync(from)) {
      copyFileSync(join(from, name), join(this.#directory, name));
    }
    this.#store = undefined;
    void this.#options.time.hold(store.close());
  }

  /** Removes the files. */
  async close(): Promise<void> {
    await this.#store?.close();
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** The store as an instance sees it. */
  async open(process: SimProcess): Promise<Result<LogStore>> {
    const { clock, time, trace, violate } = this.#options;
    const opening = openSqliteLogStore({
      path: join(this.#directory, "log.db"),
      clock,
      random: process.random,
    });
    const opened = await time.hold(opening);
    if (!opened.ok) {
      violate("a log opens again after a kill", opened.error.message);
      return opened;
    }
    const store = opened.value;
    this.#store = store;
    trace.count("sqlite log opened");
    await this.#catchUp(store);
    const { head } = unwrapOrThrow(await store.stats());
    if (head < this.#line.head) {
      violate(
        "an answered append survives a kill",
        `${head} of ${this.#line.head} entries are there`,
      );
    }
    return ok(this.#watched(store, process));
  }

  #watched(store: LogStore, process: SimProcess): LogStore {
    const { latencyMs, time, trace } = this.#options;
    const through = async <T>(run: () => Promise<T>): Promise<T> => {
      await process.take(latencyMs);
      const result = await run();
      await process.take(latencyMs);
      return result;
    };
    return {
      epoch: store.epoch,
      head: () => through(() => store.head()),
      now: () => through(() => store.now()),
      subscribe: (listener) => store.subscribe(listener),
      append: (request) =>
        through(async () => {
          const appended = await store.append(request);
          if (this.#store === store) await this.#catchUp(store, request.clientId);
          return appended;
        }),
      read: (after, options) => through(() => store.read(after, options)),
      hashAt: (seq) => through(() => store.hashAt(seq)),
      snapshot: () => through<Result<LogSnapshot>>(() => store.snapshot()),
      getValue: (key) => through(() => store.getValue(key)),
      setValue: (key, value) => through(() => store.setValue(key, value)),
      acquireLease: (name, options) => through(() => store.acquireLease(name, options)),
      releaseLease: (name, options) => through(() => store.releaseLease(name, options)),
      trim: (options) =>
        through(async () => {
          if (this.#store === store) await this.#catchUp(store);
          // It lets other things of the process have their turns, but no time passes by that.
          const trimmed = await time.hold(store.trim(options));
          if (this.#store !== store) return trimmed;
          const { trimmed: edge } = unwrapOrThrow(await store.stats());
          if (edge > this.#line.trimmed) {
            trace.note(process.name, `log trimmed through ${edge}`);
            trace.count("trim");
            this.#line.trim(edge);
          }
          return trimmed;
        }),
      seqBefore: (at) => through(() => store.seqBefore(at)),
      stats: () => through(() => store.stats()),
      close: async () => {
        await store.close();
        if (this.#store === store) this.#store = undefined;
      },
    };
  }

  /** Reads what came to the log. */
  #catchUp(store: LogStore, clientId?: string): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      if (this.#store !== store) return;
      const rules = await store.getValue("rules");
      const read = await store.read(this.#line.head, { limit: 1_000_000 });
      // Its process was killed, or it was closed, meanwhile.
      if (!read.ok || !rules.ok || this.#store !== store) return;
      this.#options.ruled(rules.value);
      for (const { seq, json } of read.value) {
        this.#options.trace.note("sqlite", `log ${seq}`, json);
      }
      const deltas = read.value.map(({ json }) => JSON.parse(json) as Delta);
      if (clientId !== undefined && deltas.length > 0) this.#options.appends(clientId, deltas);
      const fault = this.#line.append(deltas);
      if (fault !== undefined) this.#options.violate("the log has each delta once", fault);
    });
    return this.#reading;
  }
}
