/**
 * The API's description as OpenAPI 3.1, served under `/openapi.json`. What it leaves to the protocol
 * page is what JSON Schema cannot say.
 *
 * @module
 */

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

const ref = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });

const object = (properties: JsonObject, optional: readonly string[] = []): JsonObject => ({
  type: "object",
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
});

const list = (items: Json): JsonObject => ({ type: "array", items });

const text = (description: string, more: JsonObject = {}): JsonObject => ({
  type: "string",
  description,
  ...more,
});

const count = (description: string): JsonObject => ({ type: "integer", minimum: 0, description });

const HLC = { type: "string", pattern: "^[1-9][0-9]{0,19}$" };
const IDENTIFIER = { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_]{0,62}$" };
const SEQ = {
  description: "A position of the log; through a router one number for each shard",
  oneOf: [
    { type: "integer", minimum: 0 },
    { type: "object", additionalProperties: { type: "integer", minimum: 0 } },
  ],
};
const REGISTER = {
  type: "array",
  description: "[value, hlc, clientId]",
  minItems: 3,
  maxItems: 3,
};
const ROW = {
  table: IDENTIFIER,
  rowId: text("The row's key"),
  life: { type: "array", description: "[hlc, clientId]", minItems: 2, maxItems: 2 },
  columns: { type: "object", additionalProperties: REGISTER },
};
const CODES = [
  "SCHEMA_ERROR",
  "BAD_DELTA_ID",
  "CLOCK_DRIFT",
  "FORBIDDEN_WRITE",
  "TOO_LARGE",
  "TX_REJECTED",
  "STALE",
];

const SCHEMAS: JsonObject = {
  Delta: object({
    op: { enum: ["INSERT", "UPDATE", "DELETE"] },
    table: IDENTIFIER,
    rowId: text("The row's key"),
    clientId: text("The database that made it"),
    columns: list(object({ column: IDENTIFIER, value: {} })),
    hlc: HLC,
    deltaId: text("SHA-256 of its canonical JSON", { pattern: "^[0-9a-f]{64}$" }),
    txId: text("Its transaction"),
  }, ["txId"]),
  PushRequest: object({
    clientId: text("The database that pushes"),
    deltas: { ...list(ref("Delta")), maxItems: 10_000 },
    schemaVersion: count("The greatest version among the client's tables"),
  }, ["schemaVersion"]),
  PushAnswer: object({
    accepted: count("How many were appended"),
    duplicates: count("How many were there already"),
    rejected: list(object({
      index: count("Its place in the push"),
      deltaId: text("Its id as it was sent"),
      code: { enum: CODES },
      message: text("Why"),
    })),
    seq: SEQ,
    serverHlc: HLC,
  }),
  PageItem: {
    description: "A delta, or what became of a row",
    oneOf: [
      ref("Delta"),
      object({
        op: { enum: ["DELETE", "REMOVE"] },
        table: IDENTIFIER,
        rowId: text("The row's key"),
        txId: text("The transaction that did it"),
      }, ["txId"]),
      object({ op: { const: "ENTER" }, ...ROW, txId: text("The transaction") }, ["txId"]),
      object({
        op: { const: "OWN" },
        deltaId: text("A delta of the caller's own"),
        txId: text("Its transaction"),
      }, ["txId"]),
    ],
  },
  PullAnswer: object({
    deltas: list(ref("PageItem")),
    cursor: text("Where to go on"),
    seq: SEQ,
    hasMore: { type: "boolean" },
    serverHlc: HLC,
    schema: object({
      tag: text("What a caller that has learned them states"),
      tables: list(ref("TableSchema")),
    }),
    head: SEQ,
  }, ["schema", "head"]),
  TableSchema: object({
    table: IDENTIFIER,
    version: { type: "integer", minimum: 1 },
    columns: list(object({
      name: IDENTIFIER,
      type: { enum: ["string", "number", "integer", "boolean", "timestamp", "bytes", "json"] },
      nullable: { type: "boolean" },
    }, ["nullable"])),
  }),
  Schema: object({ tables: list(ref("TableSchema")) }),
  Filter: object({
    column: text("A column, or id"),
    op: { enum: ["eq", "neq", "in", "gt", "lt", "gte", "lte"] },
    value: {
      description: 'A literal, a list, or "jwt:<claim>"; with table, select and where left out',
    },
    table: { ...IDENTIFIER, description: "With op in: the value is one that this table has" },
    select: text("In this column of it"),
    where: { ...list(ref("Filter")), description: "In rows that fit these" },
  }, ["value", "table", "select", "where"]),
  Bucket: object({
    name: text("Its name"),
    tables: list(IDENTIFIER),
    filters: list(ref("Filter")),
  }),
  Rules: object({
    version: { type: "integer", minimum: 1 },
    buckets: list(ref("Bucket")),
    write: list(ref("Bucket")),
  }, ["write"]),
  RulesInForce: { anyOf: [ref("Rules"), { type: "null" }] },
  FlushReport: object({
    flushedSeq: SEQ,
    deltas: count("How many went to the destinations"),
    objects: count("How many objects were written"),
  }),
  Stats: object({
    head: SEQ,
    flushedSeq: SEQ,
    trimmedSeq: SEQ,
    lag: count("How many entries are not flushed"),
    tables: { type: "object", additionalProperties: object({ rows: count("Visible rows") }) },
    clients: count("How many clients have pushed"),
    destinations: {
      type: "object",
      description: "How far each destination is, and what it fails with",
      additionalProperties: object({
        flushedSeq: SEQ,
        lag: count("How many entries it lacks"),
        cutOff: { type: "boolean" },
        attempts: count("How often it has failed in a row"),
        error: object({ code: text("What kind of failure"), message: text("What to do") }),
        failing: { type: "object", description: "The tables that fail alone, and why" },
        behind: { type: "object", description: "What it does behind flushes" },
      }, ["attempts", "error", "failing", "behind"]),
    },
    maintenance: object({
      runs: count("Runs of the lake's upkeep since the server began"),
      failures: count("Those of which a step failed"),
      running: { type: "boolean" },
      lastEndedAt: { type: ["string", "null"] },
      lastMs: { type: ["integer", "null"] },
    }),
  }, ["destinations", "maintenance"]),
  Error: object({
    error: object({
      code: text("What kind of failure it is"),
      message: text("What failed, and the next step"),
      requestId: text("The request it belongs to"),
      details: { type: "object" },
    }, ["details"]),
  }),
};

const GATEWAY = parameter("gw", "path", text("The gateway's id"), true);
const CLIENT = parameter("clientId", "query", text("The database that asks"), true);
const VIEW = [
  parameter("tables", "query", text("Only these tables, comma-separated")),
  parameter("schemaVersion", "query", count("The greatest version among the client's tables")),
];
const FROM = [
  parameter("cursor", "query", text("Where it stands; empty: the beginning")),
  parameter("limit", "query", { type: "integer", minimum: 1 }),
  parameter("own", "query", { const: "ids" }),
  parameter("schema", "query", text("The tag of the tables that it has learned; empty: none")),
  parameter("tell", "query", { const: "head", description: "The answer tells where the log ends" }),
];

function parameter(name: string, place: string, schema: Json, required = false): JsonObject {
  return { name, in: place, required, schema };
}

function content(name: string): JsonObject {
  return {
    "application/json": { schema: ref(name) },
    "application/x-protobuf": { schema: { type: "string", format: "binary" } },
  };
}

interface Operation {
  readonly summary: string;
  readonly parameters?: readonly Json[];
  readonly takes?: string;
  readonly gives?: string | JsonObject;
  readonly open?: boolean;
}

function operation(id: string, { summary, parameters, takes, gives, open }: Operation): JsonObject {
  return {
    operationId: id,
    summary,
    parameters: parameters ?? [],
    ...(takes !== undefined && { requestBody: { required: true, content: content(takes) } }),
    ...(open === true && { security: [] }),
    responses: {
      "200": {
        description: "Done",
        ...(gives !== undefined &&
          { content: typeof gives === "string" ? content(gives) : gives }),
      },
      default: { description: "It failed", content: content("Error") },
    },
  };
}

const ndjson = { "application/x-ndjson": { schema: { type: "string" } } };
const events = { "text/event-stream": { schema: { type: "string" } } };
const plain = { "text/plain": { schema: { type: "string" } } };
const anything = { "application/json": { schema: { type: "object" } } };

const PATHS: JsonObject = {
  "/v1/sync/{gw}/push": {
    post: operation("push", {
      summary: "Sends deltas up",
      parameters: [GATEWAY],
      takes: "PushRequest",
      gives: "PushAnswer",
    }),
  },
  "/v1/sync/{gw}/pull": {
    get: operation("pull", {
      summary: "Asks for a page of changes",
      parameters: [
        GATEWAY,
        CLIENT,
        ...FROM,
        parameter("wait", "query", { type: "number", minimum: 0, maximum: 60 }),
        parameter("source", "query", text("A source to read instead of the log")),
        ...VIEW,
      ],
      gives: "PullAnswer",
    }),
  },
  "/v1/sync/{gw}/live": {
    get: operation("live", {
      summary: "Server-Sent Events: an event a page",
      parameters: [
        GATEWAY,
        CLIENT,
        ...FROM,
        ...VIEW,
        parameter(
          "last-event-id",
          "header",
          text("The cursor of the last event; it beats the query's"),
        ),
      ],
      gives: events,
    }),
  },
  "/v1/sync/{gw}/ws": {
    get: operation("ws", {
      summary: "Opens a WebSocket of the subprotocol lakesync.v1",
      parameters: [GATEWAY],
    }),
  },
  "/v1/sync/{gw}/checkpoint": {
    get: operation("checkpoint", {
      summary: "Streams the rows that the caller may see, at one position of the log",
      parameters: [
        GATEWAY,
        CLIENT,
        ...VIEW,
        parameter(
          "atLeast",
          "query",
          count("The least seq that will do; else one made a little ago may come"),
        ),
        parameter(
          "if-none-match",
          "header",
          text("ETags of checkpoints that the caller has: 304 where one still will do"),
        ),
      ],
      gives: ndjson,
    }),
  },
  "/v1/admin/{gw}/flush": {
    post: operation("flush", {
      summary: "Flushes now",
      parameters: [GATEWAY],
      gives: "FlushReport",
    }),
  },
  "/v1/admin/{gw}/schema": {
    get: operation("getSchema", { summary: "The tables", parameters: [GATEWAY], gives: "Schema" }),
    put: operation("putSchema", {
      summary: "Replaces the tables: always the whole set",
      parameters: [GATEWAY],
      takes: "Schema",
      gives: "Schema",
    }),
  },
  "/v1/admin/{gw}/rules": {
    get: operation("getRules", {
      summary: "The rules; null where there are none",
      parameters: [GATEWAY],
      gives: "RulesInForce",
    }),
    put: operation("putRules", {
      summary: "Replaces the rules",
      parameters: [GATEWAY],
      takes: "Rules",
      gives: "Rules",
    }),
  },
  "/v1/admin/{gw}/stats": {
    get: operation("stats", { summary: "Counts", parameters: [GATEWAY], gives: "Stats" }),
  },
  "/health": { get: operation("health", { summary: "Liveness", gives: anything, open: true }) },
  "/ready": { get: operation("ready", { summary: "Readiness", gives: anything, open: true }) },
  "/metrics": {
    get: operation("metrics", { summary: "Prometheus text", gives: plain }),
  },
  "/openapi.json": {
    get: operation("openapi", { summary: "This description", gives: anything, open: true }),
  },
};

/** The description as it is served. */
export const OPENAPI: JsonObject = {
  openapi: "3.1.0",
  info: {
    title: "LakeSync gateway",
    version: "1",
    description: "Column-level sync between devices, a gateway and a lake.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  security: [{ bearer: [] }],
  paths: PATHS,
  components: {
    schemas: SCHEMAS,
    securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
  },
};
