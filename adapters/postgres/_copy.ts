import { Buffer } from "node:buffer";
import type { SqlParameter } from "@lakesync/core";
import type { PgConnection, PgSubmittable } from "./_driver.ts";

/** The most bytes of a message. */
const MESSAGE = 256 * 1024;

/** A COPY … FROM STDIN with what it reads, as the driver runs statements of others. */
export class CopyIn implements PgSubmittable {
  /** Resolves when the server has taken everything. */
  readonly done: Promise<void>;
  /** Set by the driver: stops the time that the statement has. */
  callback: ((error: Error | null) => void) | undefined;
  readonly #text: string;
  readonly #data: string;
  readonly #settle: PromiseWithResolvers<void> = Promise.withResolvers();
  #error: Error | undefined;

  constructor(text: string, data: string) {
    this.#text = text;
    this.#data = data;
    this.done = this.#settle.promise;
  }

  /** Sends the statement. */
  submit(connection: PgConnection): void {
    connection.query(this.#text);
  }

  /** The server wants the data. */
  handleCopyInResponse(connection: PgConnection): void {
    const bytes = Buffer.from(this.#data);
    for (let i = 0; i < bytes.length; i += MESSAGE) {
      connection.sendCopyFromChunk(bytes.subarray(i, i + MESSAGE));
    }
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

/** Rows as the lines that COPY reads. */
export function copyText(rows: readonly (readonly SqlParameter[])[]): string {
  let text = "";
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const value = row[i]!;
      if (i > 0) text += "\t";
      if (value === null) text += "\\N";
      else text += typeof value === "number" ? value : escapeField(value);
    }
    text += "\n";
  }
  return text;
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
