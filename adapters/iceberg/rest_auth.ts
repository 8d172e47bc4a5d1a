import { type Clock, LakeSyncError } from "@lakesync/core";
import { AwsV4Signer } from "aws4fetch";

/** Keys that AWS requests are signed with. */
export interface AwsKeys {
  /** The access key's id. */
  readonly accessKeyId: string;
  /** Its secret. */
  readonly secretAccessKey: string;
  /** The session's token, with temporary keys. */
  readonly sessionToken?: string;
}

/** How a REST catalogue knows who asks. */
export type RestAuth =
  /** A token, or where to get one: asked for before each request. */
  | { readonly kind: "bearer"; readonly token: string | (() => Promise<string> | string) }
  /** OAuth2 client credentials: a token is fetched, kept and renewed before it expires. */
  | {
    readonly kind: "oauth2";
    readonly clientId: string;
    readonly clientSecret: string;
    /** @default {"catalog"} */
    readonly scope?: string;
    /** @default {undefined} the catalogue's own `/v1/oauth/tokens` */
    readonly tokenUrl?: string;
  }
  /** AWS Signature 4, for S3 Tables (`s3tables`) and Glue (`glue`). */
  | {
    readonly kind: "sigv4";
    readonly keys: AwsKeys | (() => Promise<AwsKeys> | AwsKeys);
    readonly region: string;
    readonly service: "s3tables" | "glue" | "execute-api";
  };

/** A request before it is authorised. */
export interface PlainRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { readonly [name: string]: string };
  readonly body?: string;
}

/** What requests are authorised with. */
export interface Authoriser {
  /** The request's headers with its authorisation. Throws a `LakeSyncError`. */
  headers(request: PlainRequest): Promise<Headers>;
  /** Tells that an authorisation was refused; whether another try may fare better. */
  refused(): boolean;
}

/** A token is renewed when so much of its life is over. */
const RENEW_AFTER = 0.8;
/** How long a token is kept that does not say when it expires. */
const DEFAULT_LIFE_S = 3_600;

/** Makes the authoriser of a catalogue at `url`. */
export function authoriser(
  auth: RestAuth | undefined,
  { url, clock }: { url: string; clock: Clock },
): Authoriser {
  switch (auth?.kind) {
    case undefined:
      return {
        headers: ({ headers }) => Promise.resolve(new Headers(headers)),
        refused: () => false,
      };
    case "bearer":
      return {
        async headers({ headers }) {
          const { token } = auth;
          return withToken(headers, typeof token === "function" ? await token() : token);
        },
        refused: () => typeof auth.token === "function",
      };
    case "oauth2":
      return clientCredentials(auth, { url, clock });
    case "sigv4":
      return {
        async headers({ method, url, headers, body }) {
          const { keys, region, service } = auth;
          const signed = await new AwsV4Signer({
            ...(typeof keys === "function" ? await keys() : keys),
            method,
            url,
            headers: { ...headers },
            ...(body !== undefined && { body }),
            region,
            service,
            datetime: new Date(clock.now()).toISOString().replace(/[:-]|\.\d{3}/g, ""),
          }).sign();
          return new Headers(signed.headers);
        },
        refused: () => typeof auth.keys === "function",
      };
  }
}

function withToken(headers: PlainRequest["headers"], token: string): Headers {
  return new Headers({ ...headers, authorization: `Bearer ${token}` });
}

/** @see {@link https://www.rfc-editor.org/rfc/rfc6749#section-4.4 | RFC 6749, 4.4} */
function clientCredentials(
  auth: Extract<RestAuth, { kind: "oauth2" }>,
  { url, clock }: { url: string; clock: Clock },
): Authoriser {
  const tokenUrl = auth.tokenUrl ?? `${url}/v1/oauth/tokens`;
  let held: { readonly token: string; readonly renewAt: number } | undefined;
  let asking: Promise<string> | undefined;

  const ask = async (): Promise<string> => {
    const answer = await fetch(tokenUrl, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: auth.clientId,
        client_secret: auth.clientSecret,
        scope: auth.scope ?? "catalog",
      }).toString(),
    });
    const text = await answer.text();
    if (answer.status >= 500 || answer.status === 429) {
      throw new Error(`the token endpoint answered ${answer.status}`);
    }
    const token = answer.ok ? tokenOf(text) : undefined;
    if (token === undefined) {
      // Not the text: it may have a secret in it.
      throw new LakeSyncError(
        "STORAGE_ERROR",
        `Cannot get a token from ${tokenUrl}: it answered ${answer.status} without one, check the client's id, secret and scope`,
      );
    }
    const life = token.expiresIn ?? DEFAULT_LIFE_S;
    held = { token: token.value, renewAt: clock.now() + life * 1000 * RENEW_AFTER };
    return token.value;
  };

  return {
    async headers({ headers }) {
      if (held !== undefined && clock.now() < held.renewAt) return withToken(headers, held.token);
      asking ??= ask().finally(() => asking = undefined);
      return withToken(headers, await asking);
    },
    refused() {
      held = undefined;
      return true;
    },
  };
}

function tokenOf(text: string): { value: string; expiresIn: number | undefined } | undefined {
  try {
    const { access_token: value, expires_in: expiresIn } = JSON.parse(text) ?? {};
    if (typeof value !== "string" || value === "") return undefined;
    return { value, expiresIn: typeof expiresIn === "number" ? expiresIn : undefined };
  } catch {
    return undefined;
  }
}
