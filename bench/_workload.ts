import { createHash } from "node:crypto";
import { type Delta, type DeltaContent, deltaIdText, packHlc } from "@lakesync/core";
import { Prng } from "@lakesync/testing";
import { todos } from "./_todos.ts";

export { todos };

/** The clients that deltas come from, by turns. */
export const CLIENTS: readonly string[] = Array.from({ length: 8 }, (_, i) => `client-${i}`);

/** The body of a push. */
export interface PushBody {
  /** Who pushes. */
  readonly clientId: string;
  /** What. */
  readonly deltas: readonly Delta[];
}

/** Makes the deltas that a gateway is fed with: rising stamps, random rows, always the same ones. */
export class Workload {
  /** The rows that updates fall on. */
  readonly rowIds: readonly string[];
  readonly #random = new Prng(42);
  // So far back that rising by a millisecond or two a delta does not come near the present.
  #wallMs = Date.now() - 24 * 60 * 60 * 1000;
  #counter = 0;
  #client = 0;

  constructor(options: { rows: number }) {
    this.rowIds = Array.from({ length: options.rows }, () => this.#random.uuid());
  }

  /** Pushes that insert the rows, each a push of `size`. */
  inserts(size: number): Generator<PushBody> {
    return this.#pushes(this.rowIds.length, size, (i) => this.#insert(this.rowIds[i]!));
  }

  /** Pushes of `count` inserts of new rows with random UUIDs. */
  freshInserts(count: number, size: number): Generator<PushBody> {
    return this.#pushes(count, size, () => this.#insert(this.#random.uuid()));
  }

  /** Pushes of `count` updates of one column each, of random rows. */
  updates(count: number, size: number): Generator<PushBody> {
    return this.#pushes(count, size, () => this.#update(this.#random.pick(this.rowIds)));
  }

  /** Pushes of `count` updates of one column each that go through the rows again and again. */
  sweep(count: number, size: number): Generator<PushBody> {
    return this.#pushes(count, size, (i) => this.#update(this.rowIds[i % this.rowIds.length]!));
  }

  *#pushes(
    count: number,
    size: number,
    make: (i: number) => Pick<DeltaContent, "op" | "rowId" | "columns">,
  ): Generator<PushBody> {
    for (let start = 0; start < count; start += size) {
      const clientId = CLIENTS[this.#client++ % CLIENTS.length]!;
      const deltas: Delta[] = [];
      for (let i = start; i < Math.min(count, start + size); i++) {
        const { op, rowId, columns } = make(i);
        const content = { op, table: todos.name, rowId, clientId, columns, hlc: this.#stamp() };
        deltas.push({
          ...content,
          deltaId: createHash("sha256").update(deltaIdText(content)).digest("hex"),
        });
      }
      yield { clientId, deltas };
    }
  }

  #insert(rowId: string): Pick<DeltaContent, "op" | "rowId" | "columns"> {
    const columns = [
      { column: "title", value: this.#title() },
      { column: "done", value: this.#random.chance(0.5) },
      { column: "n", value: this.#random.int(0, 9_999) },
    ];
    return { op: "INSERT", rowId, columns };
  }

  #update(rowId: string): Pick<DeltaContent, "op" | "rowId" | "columns"> {
    const random = this.#random;
    const column = random.pick(["title", "done", "n"]);
    const value = column === "title"
      ? this.#title()
      : column === "done"
      ? random.chance(0.5)
      : random.int(0, 9_999);
    return { op: "UPDATE", rowId, columns: [{ column, value }] };
  }

  #title(): string {
    return `Task number ${this.#random.int(0, 9_999)}`;
  }

  /** Now and then two in a millisecond, as a busy gateway sees them. */
  #stamp(): string {
    const step = this.#random.int(0, 2);
    this.#counter = step === 0 ? this.#counter + 1 : 0;
    this.#wallMs += step;
    return packHlc({ wallMs: this.#wallMs, counter: this.#counter });
  }
}
