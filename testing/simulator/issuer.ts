import "./same_turn_crypto.ts";
import { createAuth, signToken } from "@lakesync/gateway";
import type { Clock } from "@lakesync/core";
import type { OracleClaims } from "./rules_oracle.ts";
import type { VirtualTime } from "./virtual_time.ts";

const SECRET = "a secret of at least thirty-two bytes";

/** A token that was issued. */
export interface Issued {
  readonly claims: OracleClaims;
  /** From then on it is good for nothing, in ms. */
  readonly expiresAt: number;
}

/** The users' server: it knows who may what, and signs tokens, all at a time that is right. */
export class Issuer {
  readonly #time: VirtualTime;
  readonly #clock: Clock;
  readonly #seconds: number;
  readonly #claims: Map<string, OracleClaims>;
  readonly #issued = new Map<string, Issued>();

  constructor(
    time: VirtualTime,
    options: { clock: Clock; seconds: number; claims: { readonly [sub: string]: OracleClaims } },
  ) {
    this.#time = time;
    this.#clock = options.clock;
    this.#seconds = options.seconds;
    this.#claims = new Map(Object.entries(options.claims));
  }

  /** What is known of a user now. */
  claimsOf(sub: string): OracleClaims {
    return this.#claims.get(sub) ?? {};
  }

  /** A user may something else: tokens say so from the next one on. */
  change(sub: string, claims: OracleClaims): void {
    this.#claims.set(sub, claims);
  }

  /** A token for a user. */
  async token(sub: string): Promise<string> {
    return await this.#sign({ sub, gw: "main", ...this.claimsOf(sub) });
  }

  /** The headers of an operator's request. */
  async admin(): Promise<Headers> {
    const token = await this.#sign({ sub: "operator", gw: "main", role: "admin" });
    return new Headers({ authorization: `Bearer ${token}`, "content-type": "application/json" });
  }

  /** What a token is that a request carries. */
  issued(token: string | undefined): Issued | undefined {
    return token === undefined ? undefined : this.#issued.get(token);
  }

  /** Lets in who has a token, by a machine's clock. */
  auth(clock: Clock): ReturnType<typeof createAuth> {
    const auth = createAuth({ secrets: [SECRET], clock });
    // Signatures are the runtime's work, which takes real time.
    return { admit: (request, options) => this.#time.hold(auth.admit(request, options)) };
  }

  async #sign(claims: OracleClaims & { sub: string; gw: string }): Promise<string> {
    const clock = this.#clock;
    const now = Math.floor(clock.now() / 1000);
    const token = await this.#time.hold(
      signToken(claims as Parameters<typeof signToken>[0], {
        secret: SECRET,
        clock,
        expiresInSeconds: this.#seconds,
      }),
    );
    this.#issued.set(token, { claims, expiresAt: (now + this.#seconds) * 1000 });
    return token;
  }
}
