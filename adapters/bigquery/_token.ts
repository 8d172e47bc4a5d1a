import { type Clock, LakeSyncError } from "@lakesync/core";
import { importPKCS8, SignJWT } from "jose";
import type { ServiceAccount } from "./options.ts";

const SCOPE = "https://www.googleapis.com/auth/bigquery";
const TOKEN_URI = "https://oauth2.googleapis.com/token";
/** How long an assertion is good, at most an hour. */
const ASSERTION_S = 3_600;
/** A token is renewed so long before it expires. */
const EARLY_MS = 60_000;

/** Posts a form, and gives the answer's status and text; tries again what may pass. */
export type PostForm = (
  url: string,
  form: URLSearchParams,
) => Promise<{ status: number; text: string }>;

/**
 * A service account's access token, kept until shortly before it expires.
 *
 * @see {@link https://developers.google.com/identity/protocols/oauth2/service-account#httprest}
 */
export class TokenSource {
  readonly #account: ServiceAccount;
  readonly #clock: Clock;
  readonly #post: PostForm;
  #held: { readonly token: string; readonly until: number } | undefined;
  #asking: Promise<string> | undefined;

  constructor(options: { account: ServiceAccount; clock: Clock; post: PostForm }) {
    this.#account = options.account;
    this.#clock = options.clock;
    this.#post = options.post;
  }

  /** A token that is good for some time. Throws a `LakeSyncError`. */
  async token(): Promise<string> {
    if (this.#held !== undefined && this.#clock.now() < this.#held.until) return this.#held.token;
    this.#asking ??= this.#ask().finally(() => this.#asking = undefined);
    return await this.#asking;
  }

  /** Tells that a token was refused: the next one is a new one. */
  refused(token: string): void {
    if (this.#held?.token === token) this.#held = undefined;
  }

  async #ask(): Promise<string> {
    const { client_email, token_uri = TOKEN_URI } = this.#account;
    const now = this.#clock.now();
    const { status, text } = await this.#post(
      token_uri,
      new URLSearchParams({
        grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion: await this.#assertion(Math.floor(now / 1000), token_uri),
      }),
    );
    const answer = tokenOf(text);
    if (status !== 200 || answer === undefined) {
      // Not the text: it may have a token in it.
      throw new LakeSyncError(
        "FORBIDDEN",
        `Cannot get a token for ${client_email} from ${token_uri}: it answered ${status} without one; see that the key is this account's, and neither deleted nor disabled, and that this machine's clock is right`,
      );
    }
    this.#held = { token: answer.token, until: now + answer.seconds * 1000 - EARLY_MS };
    return answer.token;
  }

  async #assertion(now: number, audience: string): Promise<string> {
    const { client_email, private_key, private_key_id } = this.#account;
    try {
      return await new SignJWT({ scope: SCOPE })
        .setProtectedHeader({
          alg: "RS256",
          typ: "JWT",
          ...(private_key_id !== undefined && { kid: private_key_id }),
        })
        .setIssuer(client_email)
        .setAudience(audience)
        .setIssuedAt(now)
        .setExpirationTime(now + ASSERTION_S)
        .sign(await importPKCS8(private_key, "RS256"));
    } catch (cause) {
      throw new LakeSyncError(
        "FORBIDDEN",
        `Cannot sign with the key of ${client_email}: its private_key is no RSA key in PEM (PKCS #8), copy it whole from the JSON file`,
        { cause },
      );
    }
  }
}

function tokenOf(text: string): { token: string; seconds: number } | undefined {
  try {
    const { access_token: token, expires_in: seconds } = JSON.parse(text) ?? {};
    if (typeof token !== "string" || typeof seconds !== "number") return undefined;
    return { token, seconds };
  } catch {
    return undefined;
  }
}
