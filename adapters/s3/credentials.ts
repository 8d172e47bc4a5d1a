import { err, LakeSyncError, ok, type Result } from "@lakesync/core";

/** What requests are signed with. */
export interface S3Credentials {
  /** The access key's id. */
  readonly accessKeyId: string;
  /** Its secret. */
  readonly secretAccessKey: string;
  /** The session's token, with temporary credentials. */
  readonly sessionToken?: string;
}

/** Credentials, or where to get them: asked for before each request, so keep them until they expire. */
export type S3CredentialsProvider = S3Credentials | (() => Promise<S3Credentials> | S3Credentials);

/**
 * Credentials from the variables that every S3 tool reads.
 *
 * @param env The environment: `process.env`, say.
 * @returns `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; `VALIDATION_ERROR`
 * that names the variable which is not set.
 *
 * @example From an environment
 * ```ts
 * import { credentialsFromEnv } from "@lakesync/adapter-s3";
 * import { assert } from "@std/assert";
 *
 * assert(credentialsFromEnv({ AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" }).ok);
 * ```
 */
export function credentialsFromEnv(
  env: { readonly [name: string]: string | undefined },
): Result<S3Credentials> {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (!accessKeyId || !secretAccessKey) {
    const missing = accessKeyId ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID";
    return err(
      new LakeSyncError(
        "VALIDATION_ERROR",
        `Cannot sign for S3: the variable ${missing} is not set`,
      ),
    );
  }
  const sessionToken = env.AWS_SESSION_TOKEN;
  return ok({ accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) });
}
