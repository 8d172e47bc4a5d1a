/** A fault as BigQuery answers it. */
export class ApiFault extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  /** The body that BigQuery answers with. */
  body(): unknown {
    const { status, reason, message } = this;
    return { error: { code: status, message, errors: [{ reason, message, domain: "global" }] } };
  }
}

/** What a query is refused with. */
export function invalidQuery(message: string): ApiFault {
  return new ApiFault(400, "invalidQuery", message);
}
