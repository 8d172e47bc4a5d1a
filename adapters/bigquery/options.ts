import {
  type Clock,
  err,
  LakeSyncError,
  ok,
  type Random,
  type Result,
  type Scheduler,
} from "@lakesync/core";

/** A service account's key, as Google's console gives it as a JSON file. What else is in it is not looked at. */
export interface ServiceAccount {
  /** Who it is. */
  readonly client_email: string;
  /** Its RSA key: PKCS #8 in PEM. */
  readonly private_key: string;
  /** The key's name. */
  readonly private_key_id?: string;
  /** The project that it belongs to. */
  readonly project_id?: string;
  /**
   * Where it gets its tokens.
   *
   * @default {"https://oauth2.googleapis.com/token"}
   */
  readonly token_uri?: string;
}

/** Options of {@linkcode bigqueryServer}. */
export interface BigQueryOptions {
  /** Who asks. It needs the roles BigQuery Data Editor on the dataset and BigQuery Job User. */
  readonly credentials: ServiceAccount;
  /** The dataset that the tables are in. It must exist. */
  readonly dataset: string;
  /**
   * The dataset's project, which also pays for the jobs.
   *
   * @default {credentials.project_id}
   */
  readonly project?: string;
  /**
   * Where the API is: a private endpoint, or an emulator.
   *
   * @default {"https://bigquery.googleapis.com"}
   */
  readonly endpoint?: string;
  /**
   * How often a request or a job is tried that fails for a reason that passes.
   *
   * @default {6}
   */
  readonly attempts?: number;
  /**
   * How long an answer may take, in ms.
   *
   * @default {60_000}
   */
  readonly requestMs?: number;
  /**
   * How long a job may take, in ms. One that takes longer is left running, and its outcome is looked
   * up when its batch comes again.
   *
   * @default {600_000}
   */
  readonly jobMs?: number;
  /**
   * Tells when a token expires, and `synced_at`.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Names jobs, and spreads retries.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /**
   * Waiting.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
}

/** Where a dataset is. */
export interface DatasetPlace {
  readonly project: string;
  readonly dataset: string;
  /** The API's URL, without a slash at its end. */
  readonly endpoint: string;
}

/** Checks what can be checked without asking. */
export function placeOf(options: BigQueryOptions): Result<DatasetPlace> {
  const { credentials, dataset, endpoint = "https://bigquery.googleapis.com" } = options;
  const { client_email, private_key, project_id } = credentials ?? {};
  const { project = project_id } = options;
  if (typeof client_email !== "string" || typeof private_key !== "string") {
    return invalid(
      "The BigQuery credentials are no service account's key: give the JSON file's content",
    );
  }
  if (typeof project !== "string" || !/^[a-z0-9.:-]*[a-z][a-z0-9.:-]*$/.test(project)) {
    return invalid(
      `The BigQuery project "${project ?? ""}" is none: give project, like "my-project-1"`,
    );
  }
  if (typeof dataset !== "string" || !/^[A-Za-z0-9_]{1,1024}$/.test(dataset)) {
    return invalid(`The BigQuery dataset "${dataset}" has no name of letters, digits and "_"`);
  }
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    return invalid(
      `The BigQuery endpoint "${endpoint}" is no URL: leave it out, or write https://host`,
    );
  }
  return ok({ project, dataset, endpoint: endpoint.replace(/\/+$/, "") });
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
