/**
 * The pure part of LakeSync: hybrid logical clocks, deltas, merge, schemas, the wire's types and the
 * ports in which the other packages meet. No I/O.
 *
 * @module
 */
export * from "./delta.ts";
export * from "./errors.ts";
export * from "./hlc.ts";
export * from "./json.ts";
export * from "./merge.ts";
export * from "./object_body.ts";
export * from "./object_key.ts";
export * from "./parse_delta.ts";
export * from "./ports.ts";
export * from "./result.ts";
export * from "./row_form.ts";
export * from "./schema.ts";
export * from "./system.ts";
export * from "./table.ts";
export * from "./value.ts";
export * from "./wire.ts";
