import { type CryptoKey, exportPKCS8, generateKeyPair, jwtVerify } from "jose";
import { ApiFault } from "./fault.ts";

/** A service account of the emulator's. */
export interface EmulatorCredentials {
  readonly client_email: string;
  readonly private_key: string;
  readonly private_key_id: string;
  readonly project_id: string;
  readonly token_uri: string;
}

const SCOPE = "https://www.googleapis.com/auth/bigquery";

/** Gives tokens for assertions that the account's key has signed, and knows them again. */
export class TokenIssuer {
  readonly #publicKey: CryptoKey;
  readonly #email: string;
  readonly #tokens: Map<string, number> = new Map();
  readonly #now: () => number;
  /** How long tokens are good, in seconds. */
  lifeSeconds = 3600;
  /** How many were given. */
  issued = 0;

  private constructor(publicKey: CryptoKey, email: string, now: () => number) {
    this.#publicKey = publicKey;
    this.#email = email;
    this.#now = now;
  }

  /** Makes an account and what knows it. */
  static async create(
    options: { readonly project: string; readonly now: () => number },
  ): Promise<{ issuer: TokenIssuer; account: Omit<EmulatorCredentials, "token_uri"> }> {
    const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
    const account = {
      client_email: `lakesync@${options.project}.iam.gserviceaccount.com`,
      private_key: await exportPKCS8(privateKey),
      private_key_id: "key-1",
      project_id: options.project,
    };
    return { issuer: new TokenIssuer(publicKey, account.client_email, options.now), account };
  }

  /** Answers the token endpoint. */
  async answer(
    form: URLSearchParams,
    audience: string,
  ): Promise<{ status: number; body: unknown }> {
    const refused = (error: string) => ({ status: 400, body: { error } });
    if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer") {
      return refused("unsupported_grant_type");
    }
    try {
      const { payload, protectedHeader } = await jwtVerify(
        form.get("assertion") ?? "",
        this.#publicKey,
        {
          algorithms: ["RS256"],
          audience,
          issuer: this.#email,
          requiredClaims: ["exp", "iat"],
          currentDate: new Date(this.#now()),
          clockTolerance: 60,
        },
      );
      const long = payload.exp! - payload.iat! > 3600;
      if (long || payload["scope"] !== SCOPE || protectedHeader.kid !== "key-1") {
        return refused("invalid_grant");
      }
    } catch {
      return refused("invalid_grant");
    }
    const token = `ya29.${++this.issued}`;
    this.#tokens.set(token, this.#now() + this.lifeSeconds * 1000);
    return {
      status: 200,
      body: { access_token: token, expires_in: this.lifeSeconds, token_type: "Bearer" },
    };
  }

  /** Forgets all tokens, as if they had expired early. */
  expireAll(): void {
    this.#tokens.clear();
  }

  /** Throws where a request carries no token that is good. */
  check(authorization: string | undefined): void {
    const until = this.#tokens.get(authorization?.replace(/^Bearer /, "") ?? "");
    if (until === undefined || until <= this.#now()) {
      throw new ApiFault(401, "authError", "Request had invalid authentication credentials.");
    }
  }
}
