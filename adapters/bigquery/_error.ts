import { type ErrorCode, LakeSyncError } from "@lakesync/core";

/** A fault as BigQuery describes it, in an answer or in a job. */
export interface Fault {
  /** Its short name: https://cloud.google.com/bigquery/docs/error-messages */
  readonly reason: string;
  readonly message: string;
}

/** What passes by itself. */
const PASSING: ReadonlySet<string> = new Set([
  "backendError",
  "internalError",
  "jobBackendError",
  "jobInternalError",
  "jobRateLimitExceeded",
  "rateLimitExceeded",
  "tableUnavailable",
]);

/** Whether somebody else's commit came in between: what was asked for may be asked for again. */
export function isConcurrent({ message }: Fault): boolean {
  return /aborted due to concurrent update|could not serialize access to table/i.test(message);
}

/** Whether asking again may help. */
export function isPassing(fault: Fault): boolean {
  return PASSING.has(fault.reason) || isConcurrent(fault);
}

const CHANGED = "somebody else changed the table: drop or rename it, or undo that";
const COLUMN =
  /(?:[Rr]equired field|[Cc]olumn|[Ff]ield|[Nn]ame|property) [`'"]?(?:\w+\.)*([A-Za-z_]\w*)[`'"]?|[Ii]nvalid field name "([^"]+)"/;

/** What BigQuery refuses, as an error with a code and the next step. */
export function faultError(
  fault: Fault,
  options: { readonly place: string },
): LakeSyncError {
  const { reason, message } = fault;
  const [code, next] = judge(fault);
  const column = code === "CONFLICT" ? COLUMN.exec(message) : null;
  return new LakeSyncError(code, `${options.place} failed (${reason}: ${message}): ${next}`, {
    // What others have done meanwhile is told by its cause: it may be tried again at once.
    ...((code === "CONFLICT" || code === "TIMEOUT") && { cause: fault }),
    details: column === null ? {} : { column: column[1] ?? column[2] ?? "" },
  });
}

function judge({ reason, message }: Fault): [code: ErrorCode, next: string] {
  switch (reason) {
    case "accessDenied":
    case "authError":
    case "required":
      return [
        "FORBIDDEN",
        "grant its service account BigQuery Data Editor on the dataset and BigQuery Job User",
      ];
    case "billingNotEnabled":
    case "billingTierLimitExceeded":
      return ["FORBIDDEN", "enable billing for its project"];
    case "notFound":
      if (/Not found: Table/i.test(message)) {
        return ["CONFLICT", "somebody else dropped the table, it is made anew at the next try"];
      }
      return /Not found: Job/i.test(message)
        ? ["OFFLINE", "a job was lost on its way, try again"]
        : ["VALIDATION_ERROR", "create the dataset, or correct project and dataset"];
    case "duplicate":
      return ["CONFLICT", "somebody else made it meanwhile, try again"];
    case "timeout":
      return ["TIMEOUT", "try again"];
    case "stopped":
      return ["ABORTED", "somebody cancelled the job, try again"];
    case "quotaExceeded":
      return ["STORAGE_ERROR", "wait until the quota is renewed, raise it, or flush less often"];
    case "jobRateLimitExceeded":
    case "rateLimitExceeded":
      return ["STORAGE_ERROR", "it is asked too often: flush less often, or raise the quota"];
    case "resourcesExceeded":
    case "responseTooLarge":
      return ["STORAGE_ERROR", "the batch is too large for a query: flush more often"];
    case "invalid":
    case "invalidQuery":
    case "badRequest":
    case "conditionNotMet":
      return isConcurrent({ reason, message })
        ? ["TIMEOUT", "others kept writing to the same table, try again"]
        : ["CONFLICT", CHANGED];
    default:
      return ["STORAGE_ERROR", "see the job in its project's history, and try again"];
  }
}
