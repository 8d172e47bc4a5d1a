import { Buffer } from "node:buffer";
import type { SqlParameter, SqlStatement } from "@lakesync/core";
import type { PgConnection, PgSubmittable } from "./_driver.ts";

/** A COPY … FROM STDIN and what it reads. */
export interface CopyStatement extends SqlStatement {
  /** The lines, some at a time. */
  readonly lines: readonly Uint8Array[];
}

/** A COPY of rows of which some may be there. */
export interface CopyNewStatement extends CopyStatement {
  /** How many rows it has. */
  readonly newRows: number;
  /** Leaves those out that are there, and takes longer: COPY takes all or none. */
  orElse(): SqlStatement;
}

/** A COPY … FROM STDIN with what it reads, as the driver runs statements of others. */
export class CopyIn implements PgSubmittable {
  /** Resolves when the server has taken everything. */
  readonly done: Promise<void>;
  /** Set by the driver: stops the time that the statement has. */
  callback: ((error: Error | null) => void) | undefined;
  readonly #text: string;
  readonly #lines: readonly Uint8Array[];
  readonly #settle: PromiseWithResolvers<void> = Promise.withResolvers();
  #error: Error | undefined;

  constructor({ text, lines }: CopyStatement) {
    this.#text = text;
    this.#lines = lines;
    this.done = this.#settle.promise;
  }

  /** Sends the statement. */
  submit(connection: PgConnection): void {
    connection.query(this.#text);
  }

  /** The server wants the data. */
  handleCopyInResponse(connection: PgConnection): void {
    for (const lines of this.#lines) connection.sendCopyFromChunk(lines);
    connection.endCopyFrom();
  }

  /** The server has refused something, or the connection is lost. */
  handleError(error: Error): void {
    this.#error ??= error;
    this.callback?.(error);
    this.#settle.reject(error);
  }

  /** The server is through with the statement. */
  handleReadyForQuery(): void {
    if (this.#error !== undefined) return;
    this.callback?.(null);
    this.#settle.resolve();
  }

  /** The rows are counted. */
  handleCommandComplete(): void {}
}

/** About how many characters are encoded at once. */
const SOME = 32 * 1024;

/** Rows as the lines that COPY reads. */
export function copyLines(rows: readonly (readonly SqlParameter[])[]): Buffer[] {
  const lines: Buffer[] = [];
  let text = "";
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const value = row[i]!;
      if (i > 0) text += "\t";
      if (value === null) text += "\\N";
      else text += typeof value === "number" ? value : escapeField(value);
    }
    text += "\n";
    // Early: the pieces of a long text are many objects, and would outlive the collector's first look.
    if (text.length < SOME) continue;
    lines.push(Buffer.from(text));
    text = "";
  }
  if (text !== "") lines.push(Buffer.from(text));
  return lines;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\t": "\\t",
  "\n": "\\n",
  "\r": "\\r",
};

function escapeField(text: string): string {
  return text.replace(/[\\\t\n\r]/g, (char) => ESCAPES[char]!);
}
