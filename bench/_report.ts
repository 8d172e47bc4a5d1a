import type { Benchmark, Fact, Figure, Spread, Target } from "./_harness.ts";
import { isMet } from "./_harness.ts";
import type { Machine } from "./_machine.ts";

/** The figures of a benchmark. */
export interface Measured {
  /** The benchmark. */
  readonly benchmark: Benchmark;
  /** Its figures. */
  readonly figures: readonly Figure[];
}

/** The machine in a line. */
export function machineLine(machine: Machine): string {
  const { cpu, cores, memoryGiB, os, runtime, load } = machine;
  return `${runtime} on ${cores} cores (${cpu}), ${memoryGiB} GiB, ${os}; load ${load} at the start`;
}

/** A benchmark's figures as text. */
export function textReport({ benchmark, figures }: Measured): string {
  const rows = figures.map((figure) => [
    figure.name,
    rateText(figure.rate, figure.unit),
    rateText(figure.floor, figure.unit),
    ratioText(figure.ratio),
  ]);
  const head = ["", "rate (least–most)", "floor (least–most)", "ratio (least–most)"];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]!.length))
  );
  const line = (cells: readonly string[]) =>
    `  ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join("  ")}`.trimEnd();
  const lines = [
    `${benchmark.name}: ${benchmark.about}`,
    `  Floor: ${benchmark.floor}.`,
    line(head),
  ];
  for (const [i, { facts, targets }] of figures.entries()) {
    lines.push(line(rows[i]!));
    for (const fact of facts) lines.push(`    ${factText(fact)}`);
    for (const target of targets) lines.push(`    ${targetText(target)}`);
  }
  return lines.join("\n");
}

/** All figures as a Markdown table. */
export function markdownReport(machine: Machine, all: readonly Measured[]): string {
  const lines = [
    `${machineLine(machine)}.`,
    "",
    "| benchmark | figure | rate (least–most) | floor | ratio | targets and facts |",
    "| --- | --- | --- | --- | --- | --- |",
  ];
  for (const { benchmark, figures } of all) {
    for (const figure of figures) {
      const notes = [...figure.targets.map(targetText), ...figure.facts.map(factText)];
      lines.push(
        `| ${benchmark.name} | ${figure.name} | ${rateText(figure.rate, figure.unit)} | ` +
          `${number(figure.floor.median)}/s | ${figure.ratio.median.toFixed(2)} | ` +
          `${notes.join("; ")} |`,
      );
    }
  }
  return lines.join("\n");
}

/** A target in words: whether it was met, and by how much. */
export function targetText(target: Target): string {
  const { name, unit, bound, limit, value } = target;
  const sign = bound === "at least" ? "≥" : "≤";
  const asked = `target: ${name} ${sign} ${amount(limit, unit)}`;
  const by = unit === "%"
    ? `${Math.abs(value - limit).toFixed(1)} points`
    : `${Math.abs(100 * (value / limit - 1)).toFixed(1)} %`;
  return isMet(target)
    ? `${asked}: met, ${amount(value, unit)}, ${by} to spare`
    : `${asked}: MISSED, ${amount(value, unit)}, by ${by}`;
}

function factText({ name, value, unit }: Fact): string {
  return `${name}: ${amount(value, unit)}`;
}

function amount(value: number, unit: string): string {
  return `${number(value)} ${unit}`;
}

function rateText({ median, min, max }: Spread, unit: string): string {
  return `${number(median)} ${unit}/s (${number(min)}–${number(max)})`;
}

function ratioText({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}

function number(value: number): string {
  const digits = Math.abs(value) < 100 ? 1 : 0;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}
