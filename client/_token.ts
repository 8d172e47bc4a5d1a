/** Gives the token that requests carry: a JWT. Asked again when the gateway refuses the last one. */
export type GetToken = () => string | Promise<string>;

/** The token of all of a transport's connections. */
export class TokenSource {
  readonly #getToken: GetToken | undefined;
  #token: Promise<string> | undefined;

  constructor(getToken: GetToken | undefined) {
    this.#getToken = getToken;
  }

  /** The token, or undefined where none is used. Rejects where it cannot be had. */
  get(): Promise<string> | undefined {
    if (this.#getToken === undefined) return undefined;
    return this.#token ??= this.#ask(this.#getToken);
  }

  /**
   * Sees to it that the next token is another one than that which was refused.
   *
   * @param token The one that was refused: not the present one where another request was quicker.
   * @returns Whether there are tokens at all.
   */
  async renew(token: string | undefined): Promise<boolean> {
    const present = this.#token;
    // Where the present one cannot be had, those who ask for it are told.
    if (present !== undefined && await present.catch(() => {}) === token) {
      if (this.#token === present) this.#token = undefined;
    }
    return this.#getToken !== undefined;
  }

  #ask(getToken: GetToken): Promise<string> {
    const asked = (async () => await getToken())();
    asked.catch(() => {
      if (this.#token === asked) this.#token = undefined;
    });
    return asked;
  }
}
