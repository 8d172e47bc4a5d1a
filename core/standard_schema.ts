/**
 * A validator as [Standard Schema](https://standardschema.dev), version 1, defines it: zod, valibot,
 * arktype and others are ones.
 *
 * @typeParam Input What it takes.
 */
export interface StandardValidator<Input = unknown> {
  /** What the specification fixes. */
  readonly "~standard": {
    /** The specification's version. */
    readonly version: 1;
    /** Who made the validator. */
    readonly vendor: string;
    /** Judges a value. */
    readonly validate: (value: unknown) => ValidatorResult | Promise<ValidatorResult>;
    /** Only for the compiler. */
    readonly types?: { readonly input: Input; readonly output: unknown } | undefined;
  };
}

/** What a {@linkcode StandardValidator} finds: faults, or none. */
export interface ValidatorResult {
  /** The faults; undefined where the value is right. */
  readonly issues?: readonly ValidatorIssue[] | undefined;
  /** What it made of the value, where that is right. */
  readonly value?: unknown;
}

/** A fault. */
export interface ValidatorIssue {
  /** In words. */
  readonly message: string;
  /** Where it is; undefined for the value as a whole. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
