import { err, LakeSyncError, ok, type Result, toLakeSyncError } from "@lakesync/core";
import { member, refusal, type RestAnswer, type RestClient, textsOf } from "./rest_client.ts";

/** What a catalogue says of itself, with what the caller says of it. */
export interface RestConfig {
  /** Where the tables of our namespace are: `v1/PREFIX/namespaces/NAMESPACE/tables`. */
  readonly tables: string;
  /** Where namespaces are: `v1/PREFIX/namespaces`. */
  readonly namespaces: string;
  /** The levels of our namespace. */
  readonly namespace: readonly string[];
  /** Properties, the catalogue's overrides last. */
  readonly properties: ReadonlyMap<string, string>;
  /** The endpoints that it has; undefined where it does not say. */
  readonly endpoints: ReadonlySet<string> | undefined;
  /** Whether it takes `Idempotency-Key`. */
  readonly idempotent: boolean;
}

/**
 * Asks a catalogue how it wants to be asked.
 *
 * @see {@link https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml | Iceberg REST, getConfig}
 */
export async function readConfig(
  client: RestClient,
  { warehouse, namespace, properties }: {
    readonly warehouse: string | undefined;
    readonly namespace: readonly string[];
    readonly properties: { readonly [name: string]: string };
  },
): Promise<Result<RestConfig>> {
  const answer = await asked(() =>
    client.send({
      method: "GET",
      path: "v1/config",
      ...(warehouse !== undefined && { query: { warehouse } }),
    })
  );
  if (!answer.ok) return answer;
  const { status, body } = answer.value;
  if (status !== 200 || member(body, "overrides") === undefined) {
    const of = warehouse === undefined ? "" : ` of warehouse "${warehouse}"`;
    const { code, message, cause } = refusal(
      answer.value,
      `the request of its configuration${of} at ${client.url}`,
    );
    // What is no catalogue, or does not know the warehouse, answers many things.
    const hint = status === 200 || status === 400 || status === 404
      ? ", correct the catalogue's URL or its warehouse"
      : "";
    return err(new LakeSyncError(code, message + hint, { cause }));
  }
  const merged = new Map([
    ...textsOf(member(body, "defaults")),
    ...Object.entries(properties),
    ...textsOf(member(body, "overrides")),
  ]);
  const uri = merged.get("uri");
  if (uri !== undefined) client.url = uri.replace(/\/+$/, "");
  const prefix = merged.get("prefix")?.replace(/^\/+|\/+$/g, "");
  const root = `v1${prefix ? `/${prefix}` : ""}/namespaces`;
  const separator = merged.get("namespace-separator") ?? "%1F";
  const endpoints = member(body, "endpoints");
  return ok({
    namespaces: root,
    tables: `${root}/${namespace.map(encodeURIComponent).join(separator)}/tables`,
    namespace,
    properties: merged,
    endpoints: Array.isArray(endpoints) ? new Set(endpoints.map(String)) : undefined,
    idempotent: member(body, "idempotency-key-lifetime") !== undefined,
  });
}

/** An answer, or why none could be asked for. */
export async function asked(ask: () => Promise<RestAnswer>): Promise<Result<RestAnswer>> {
  try {
    return ok(await ask());
  } catch (thrown) {
    return err(
      thrown instanceof LakeSyncError ? thrown : toLakeSyncError(thrown, "STORAGE_ERROR"),
    );
  }
}
