/**
 * The pure part of LakeSync: hybrid logical clocks, deltas, merge, schemas, the wire's types and the
 * ports in which the other packages meet. No I/O.
 *
 * @module
 */
export * from "./database.ts";
export * from "./delta.ts";
export * from "./errors.ts";
export * from "./hlc.ts";
export * from "./json.ts";
export * from "./log_seq.ts";
export * from "./merge.ts";
export * from "./object_body.ts";
export * from "./object_key.ts";
export * from "./parse_delta.ts";
export * from "./ports.ts";
export {
  decodeErrorBody,
  decodeJsonBody,
  decodePullAnswer,
  decodePushAnswer,
  decodePushRequest,
  encodeErrorBody,
  encodeJsonBody,
  encodePullAnswer,
  encodePushAnswer,
  encodePushRequest,
  PROTOBUF_TYPE,
} from "./proto/codec.ts";
export * from "./proto/checkpoint.ts";
export * from "./proto/frame.ts";
export * from "./result.ts";
export * from "./row_form.ts";
export * from "./rules.ts";
export * from "./rules_claim.ts";
export * from "./rules_match.ts";
export * from "./rules_parse.ts";
export * from "./rules_resolve.ts";
export * from "./schema.ts";
export * from "./sql_dialect.ts";
export * from "./system.ts";
export * from "./standard_schema.ts";
export * from "./table.ts";
export * from "./value.ts";
export * from "./wire.ts";
export * from "./ws_messages.ts";
