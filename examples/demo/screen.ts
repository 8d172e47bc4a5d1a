/** What the demo shows: progress while it works, a table, a heading. */
import process from "node:process";

const WIDTH = 24;

/** Shows progress on a terminal; elsewhere only what was done. */
export class Screen {
  readonly #terminal: boolean = process.stdout.isTTY === true;
  readonly #colour: boolean = this.#terminal && process.env["NO_COLOR"] === undefined;

  /** A line. */
  line(text = ""): void {
    process.stdout.write(`${text}\n`);
  }

  /** A heading. */
  heading(text: string): void {
    this.line(`\n${this.#colour ? `\x1b[1m${text}\x1b[22m` : text}`);
  }

  /** A bar that grows in place, on terminals only. */
  progress(label: string, done: number, total: number): void {
    if (!this.#terminal) return;
    const full = Math.round(WIDTH * Math.min(1, done / total));
    const bar = "█".repeat(full) + "░".repeat(WIDTH - full);
    process.stdout.write(`\r\x1b[K  ${label.padEnd(34)} ${bar} ${count(done)}`);
  }

  /** A stage that is done; takes the place of its bar. */
  done(label: string, result: string): void {
    if (this.#terminal) process.stdout.write("\r\x1b[K");
    this.line(`  ${label.padEnd(46)} ${result}`);
  }

  /** Rows under their headings. Numbers stand to the right. */
  table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const texts = rows.map((row) =>
      row.map((cell) => typeof cell === "number" ? count(cell) : cell)
    );
    const widths = headings.map((heading, i) =>
      Math.max(heading.length, ...texts.map((row) => row[i]?.length ?? 0))
    );
    const write = (cells: readonly string[]) =>
      this.line(
        `  ${
          cells.map((cell, i) =>
            typeof rows[0]?.[i] === "number" ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)
          ).join("  ").trimEnd()
        }`,
      );
    write(headings);
    write(widths.map((width) => "─".repeat(width)));
    for (const row of texts) write(row);
  }
}

/** A number with its thousands apart and at most one decimal. */
export function count(value: number): string {
  return value.toLocaleString("en-GB", { maximumFractionDigits: 1 });
}

/** What a stage did: rows, seconds, rows a second. */
export function rate(rows: number, ms: number): string {
  return `${count(rows).padStart(9)} rows  ${(ms / 1000).toFixed(2).padStart(6)} s  ${
    count(Math.round(rows / (ms / 1000))).padStart(9)
  } rows/s`;
}
