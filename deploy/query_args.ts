import { parseArgs } from "node:util";
import { err, type Hlc, isHlc, LakeSyncError, ok, type Result } from "@lakesync/core";
import { isGatewayId } from "./open_lake.ts";

/** The forms of an answer. */
export type QueryFormat = "table" | "json" | "csv";

/** What `query` was asked for. */
export interface QueryArgs {
  readonly sql: string;
  readonly data: string;
  /** The gateway's id. */
  readonly id: string;
  readonly config: string | undefined;
  readonly lake: string | undefined;
  /** A running gateway that flushes first. */
  readonly gateway: string | undefined;
  readonly asOf: Hlc | Date | undefined;
  /** Snapshots that tables are read at. */
  readonly snapshots: ReadonlyMap<string, bigint>;
  /** Undefined: a table on a terminal, else JSON. */
  readonly format: QueryFormat | undefined;
}

/** How `query` is called. */
export const QUERY_USAGE = `query "SELECT …" [flags]    asks the lake

  --data DIR        the directory that serve was given       (./lakesync-data)
  --id ID           which of its gateways                    (default)
  --config FILE     a lakesync.config.ts, where that says where the lake is
  --lake URL        where the lake is: s3://BUCKET/PREFIX
  --gateway URL     where it runs: it flushes first, so that the answer has everything;
                    LAKESYNC_TOKEN is the token of an admin
  --as-of MOMENT    a timestamp (2026-01-31, 2026-01-31T12:00:00Z), a stamp, or TABLE@SNAPSHOT
                    (may be repeated)
  --format F        table, json or csv                       (table on a terminal, else json)
  --help            this text

Of an app's table "todos" there are todos and todos_changes, todos_at(moment),
todos_between(from, to) and todos_history(id).`;

/**
 * Reads the arguments of `query`.
 *
 * @param args The arguments.
 * @returns What was asked for, or `"help"`; `VALIDATION_ERROR` with what to change.
 */
export function parseQueryArgs(args: readonly string[]): Result<QueryArgs | "help"> {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        data: { type: "string", default: "lakesync-data" },
        id: { type: "string", default: "default" },
        config: { type: "string" },
        lake: { type: "string" },
        gateway: { type: "string" },
        "as-of": { type: "string", multiple: true, default: [] },
        format: { type: "string" },
        help: { type: "boolean" },
      },
    });
  } catch (cause) {
    return invalid(cause instanceof Error ? cause.message : String(cause));
  }
  const { values, positionals } = parsed;
  const { data, id, config, lake, gateway, format, help, "as-of": moments } = values;
  if (help === true) return ok("help");
  const [sql, ...more] = positionals;
  if (sql === undefined || sql.trim() === "") return invalid('there is no query: give "SELECT …"');
  if (more.length > 0) return invalid("there is more than one text: put the query into quotes");
  if (gateway !== undefined && !/^https?:$/.test(URL.parse(gateway)?.protocol ?? "")) {
    return invalid(`--gateway ${gateway} is no http or https URL: give what serve printed`);
  }
  if (!isGatewayId(id)) {
    return invalid(`--id ${id} is no gateway's id: give what serve got as --gateway`);
  }
  if (format !== undefined && !isFormat(format)) {
    return invalid(`--format ${format} is not known: take table, json or csv`);
  }
  const snapshots = new Map<string, bigint>();
  let asOf: Hlc | Date | undefined;
  for (const moment of moments) {
    const snapshot = /^([A-Za-z_][A-Za-z0-9_]*)@([0-9]+)$/.exec(moment);
    if (snapshot !== null) {
      snapshots.set(snapshot[1]!, BigInt(snapshot[2]!));
      continue;
    }
    if (asOf !== undefined) return invalid(`--as-of ${moment} is a second moment: leave one out`);
    asOf = momentOf(moment);
    if (asOf === undefined) {
      return invalid(
        `--as-of ${moment} is no moment: take 2026-01-31T12:00:00Z, a stamp or TABLE@SNAPSHOT`,
      );
    }
  }
  return ok({ sql, data, id, config, lake, gateway, asOf, snapshots, format });
}

function isFormat(format: string): format is QueryFormat {
  return format === "table" || format === "json" || format === "csv";
}

/** A stamp, or a time in ISO 8601; without a zone it is UTC, as everywhere in LakeSync. */
function momentOf(text: string): Hlc | Date | undefined {
  if (/^[0-9]{5,}$/.test(text) && isHlc(text)) return text;
  const iso =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(Z|[+-]\d{2}:\d{2})?)?$/
      .exec(text);
  if (iso === null) return undefined;
  const [, date, time = "00:00", zone = "Z"] = iso;
  const moment = new Date(`${date}T${time}${zone}`);
  return Number.isNaN(moment.getTime()) ? undefined : moment;
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", `${message}; see --help`));
}
