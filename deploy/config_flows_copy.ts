import type { OpenSource } from "./config_flows.ts";

/** How a flow is copied. */
export interface CopyChoice {
  /**
   * How many records one commit has, some thousands more or less.
   *
   * @default {250_000}
   */
  readonly commitRecords?: number;
}

const MOST_COMMIT_RECORDS = 1_000_000;

/** What a flow cannot be copied for. */
export function faultOfCopy(
  copy: unknown,
  flow: {
    readonly source: OpenSource;
    readonly table: string | undefined;
    readonly where: unknown;
    readonly toGateway: boolean;
  },
): string | undefined {
  const { commitRecords = 1, ...more } = copy === true ? {} : Object(copy) as CopyChoice;
  const isCount = Number.isInteger(commitRecords) && commitRecords > 0 &&
    commitRecords <= MOST_COMMIT_RECORDS;
  if ((copy !== true && typeof copy !== "object") || Object.keys(more).length > 0 || !isCount) {
    return "is neither true nor { commitRecords: 1 to 1,000,000 }";
  }
  if (flow.table === undefined) return `is of one table: write "${flow.source.name}.TABLE" in from`;
  if (flow.toGateway) return 'goes past every log: take "gateway" out of to';
  if (flow.where !== undefined) {
    return "does not know which rows were let through before: take where out, or copy";
  }
  if (flow.source.stateful === true) {
    return `is not for source "${flow.source.name}", which keeps something for its reader: take it out`;
  }
  return undefined;
}
