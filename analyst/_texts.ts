/** How DuckDB writes values of which an analyst's answers have the text. */

const DAY_MS = 86_400_000;

/** A DATE, from its days since 1970. */
export function dateText(days: number): string {
  if (days === 2 ** 31 - 1) return "infinity";
  if (days === -(2 ** 31) + 1) return "-infinity";
  const date = new Date(days * DAY_MS);
  if (Number.isNaN(date.getTime())) return `${days} days since 1970-01-01`;
  const year = date.getUTCFullYear();
  const [of, era] = year > 0 ? [year, ""] : [1 - year, " (BC)"];
  return `${String(of).padStart(4, "0")}-${date.toISOString().slice(-19, -14)}${era}`;
}

/** A TIME, from its microseconds. */
export function timeText(micros: bigint): string {
  const seconds = micros / 1_000_000n;
  const parts = [seconds / 3600n, seconds / 60n % 60n, seconds % 60n];
  const part = String(micros % 1_000_000n).padStart(6, "0").replace(/0+$/, "");
  return parts.map((each) => String(each).padStart(2, "0")).join(":") +
    (part === "" ? "" : `.${part}`);
}

/** An INTERVAL. */
export function intervalText(
  { months, days, micros }: { months: number; days: number; micros: bigint },
): string {
  const years = Math.trunc(months / 12);
  const parts = [[years, "year"], [months - 12 * years, "month"], [days, "day"]] as const;
  const texts = parts.filter(([count]) => count !== 0)
    .map(([count, unit]) => `${count} ${unit}${Math.abs(count) === 1 ? "" : "s"}`);
  if (micros !== 0n || texts.length === 0) {
    texts.push(`${micros < 0n ? "-" : ""}${timeText(micros < 0n ? -micros : micros)}`);
  }
  return texts.join(" ");
}
