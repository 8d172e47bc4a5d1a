import {
  canonicalJson,
  compareCodePoints,
  emptyRow,
  type JsonValue,
  mergeDelta,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { Prng, test } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { type AnalystSubject, entry } from "./subject.ts";

const SCHEMA: TableSchema = {
  table: "t",
  version: 1,
  columns: [
    { name: "string", type: "string" },
    { name: "number", type: "number" },
    { name: "integer", type: "integer" },
    { name: "boolean", type: "boolean" },
    { name: "timestamp", type: "timestamp" },
    { name: "bytes", type: "bytes" },
    { name: "json", type: "json" },
  ],
};

// Values whose canonical texts order differently from themselves, each kind with null beside it.
const VALUES: ReadonlyMap<string, readonly JsonValue[]> = new Map<string, readonly JsonValue[]>([
  ["string", [
    ...[null, "", " ", "!", '"', "#", "[", "\\", "]", "a", "a ", "a!", 'a"', "a#", "a\\"],
    ...["a\u0000", "a\u0007", "a\u0008", "a\n", "a\u001f", "a\u007f", "a\u2028"],
    ...["n", "\u{d7ff}", "\u{ff5e}", "\u{1f600}"],
  ]],
  ["number", [
    ...[null, 0, 1, 9, 10, -1, -9, -10, 0.1, 0.5, 1.5, 15, 100, 1e20, 1e21, 1.5e21, 1e22],
    ...[123456789012345680000, 12345678901234567000, 0.000001, 0.0000015, 1e-7, 1.5e-7],
    ...[5e-324, -5e-324, 1.7976931348623157e308, 2 ** 806, 2 ** 91, 1e300, 0.00001234],
  ]],
  ["integer", [
    ...[null, 0, 1, 9, 10, 19, -1, -9, -10, 9007199254740991, -9007199254740991],
    ...["9007199254740992", "-9007199254740992", "9223372036854775807", "-9223372036854775808"],
  ]],
  ["boolean", [null, true, false]],
  ["timestamp", [
    null,
    "0000-01-01T00:00:00.000000Z",
    "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00.000000Z",
    "2026-01-01T00:00:00.000001Z",
    "9999-12-31T23:59:59.999999Z",
  ]],
  ["bytes", [null, "", "AA==", "AAA=", "AQ==", "+/8=", "////", "/w==", "aaaa", "zzw=", "0000"]],
  ["json", [null, 0, "x", "", [], [1], {}, { a: 1 }, { a: null }, { "\u{1f600}": 1 }, true, -1]],
]);

function values(column: string): readonly JsonValue[] {
  return VALUES.get(column)!;
}

/** Registers tests of how changes with equal stamps are merged. */
export function testMergeTies(subject: AnalystSubject): void {
  test("of any two values at one stamp the greater canonical JSON text wins, whatever comes first", () =>
    subject.withLake(async (lake) => {
      const most = Math.max(...[...VALUES.values()].map((list) => list.length));
      lake.define(SCHEMA);
      const entries = [];
      const expected = new Map<string, (JsonValue | undefined)[]>();
      for (let i = 0; i < most; i++) {
        for (let j = 0; j < most; j++) {
          const id = `${i} ${j}`;
          const pair = [i, j].map((at) =>
            new Map(
              SCHEMA.columns.map(({ name }) => [name, values(name)[at % values(name).length]!]),
            )
          );
          const state = emptyRow();
          for (
            const [op, hlc, set] of [
              ["INSERT", "1", new Map()],
              ["UPDATE", "2", pair[0]!],
              ["UPDATE", "2", pair[1]!],
            ] as const
          ) {
            const made = entry(entries.length + 1, { op, hlc, id, set });
            entries.push(made);
            mergeDelta(state, made.delta);
          }
          expected.set(id, SCHEMA.columns.map(({ name }) => state.columns.get(name)?.[0]));
        }
      }
      await lake.write("t", { entries, to: { epoch: "e", seq: entries.length } });
      const analyst = unwrapOrThrow(await subject.open({ lake }));
      const columns = [
        "string",
        "number",
        // Text, so that what is compared is the protocol's one form.
        "integer::VARCHAR AS integer",
        "boolean",
        "timestamp",
        "to_base64(bytes) AS bytes",
        "json",
      ];
      const { rows } = unwrapOrThrow(await analyst.query(`SELECT id, ${columns} FROM t`));
      await analyst.close();
      assertEquals(rows.length, expected.size);
      for (const row of rows) {
        const wanted = expected.get(String(row["id"]))!;
        const shown = SCHEMA.columns.map(({ type }, i) => {
          const value = wanted[i] ?? null;
          if (value === null) return null;
          return type === "integer"
            ? String(value)
            : type === "json"
            ? canonicalJson(value)
            : value;
        });
        assertEquals<unknown>(
          SCHEMA.columns.map(({ name }) => row[name]),
          shown,
          String(row["id"]),
        );
      }
    }));

  test("doubles at one stamp are compared by their text as ECMAScript writes it", () =>
    subject.withLake(async (lake) => {
      const random = new Prng(42);
      const bits = new DataView(new ArrayBuffer(8));
      const draw = (): number => {
        const kind = random.int(0, 3);
        if (kind === 0) return 2 ** random.int(-1074, 1023);
        if (kind === 1) return random.int(0, 2 ** 31) / 10 ** random.int(0, 12);
        if (kind === 2) return random.int(0, 2 ** 31) * 10 ** random.int(0, 16);
        bits.setUint32(0, random.u32());
        bits.setUint32(4, random.u32());
        const drawn = bits.getFloat64(0);
        return Number.isFinite(drawn) && drawn !== 0 ? drawn : draw();
      };
      lake.define({ table: "t", version: 1, columns: [{ name: "n", type: "number" }] });
      const entries = [];
      const winners: number[] = [];
      for (let id = 0; id < 2000; id++) {
        const a = draw();
        // Texts that part late: the next double, or a tenth.
        const b = random.pick([draw, () => a / 10, () => a * 10, () => a * (1 + 2 ** -52)])();
        const pair = Number.isFinite(b) ? [a, b] : [a, a];
        for (const n of pair) {
          const set = new Map([["n", n]]);
          entries.push(entry(entries.length + 1, { op: "INSERT", hlc: "1", id: String(id), set }));
        }
        const texts = pair.map((n) => canonicalJson(n));
        winners.push(compareCodePoints(texts[0]!, texts[1]!) > 0 ? pair[0]! : pair[1]!);
      }
      await lake.write("t", { entries, to: { epoch: "e", seq: entries.length } });
      const analyst = unwrapOrThrow(await subject.open({ lake }));
      const { rows } = unwrapOrThrow(await analyst.query("SELECT n FROM t ORDER BY id::INTEGER"));
      await analyst.close();
      assert(winners.some((n) => !Number.isInteger(n)) && winners.some((n) => n > 1e21));
      assertEquals(rows.map((row) => row["n"]), winners);
    }));
}
