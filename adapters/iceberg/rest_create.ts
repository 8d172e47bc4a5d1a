import { err, ok, type Result } from "@lakesync/core";
import type { Json64 } from "./json64.ts";
import type { TableMetadata } from "./metadata.ts";
import { isOpen, refusal, type RestAnswer, type RestClient } from "./rest_client.ts";
import { asked, type RestConfig } from "./rest_session.ts";
import type { TableVersion } from "./table.ts";

/** What a table of a REST catalogue is made with. */
export interface RestCreateOptions {
  readonly client: RestClient;
  readonly config: RestConfig;
  /** What is sent with the request. */
  readonly headers: { readonly [name: string]: string };
  /** How often it is tried. */
  readonly attempts: number;
  /** The newest version of the table, asked anew. */
  load(): Promise<Result<TableVersion | undefined>>;
  /** The version that an answer holds. */
  versionOf(answer: RestAnswer): Result<TableVersion>;
}

/** Makes an empty table, and its namespace where that is not there. One that is there is taken. */
export async function restCreate(
  options: RestCreateOptions,
  table: string,
  draft: TableMetadata,
): Promise<Result<TableVersion>> {
  const { client, config, headers, attempts, load } = options;
  const body = createRequest(table, draft);
  let hasNamespace = false;
  for (let attempt = 1;; attempt++) {
    const answer = await asked(() =>
      client.send({ method: "POST", path: config.tables, headers, body, once: true })
    );
    if (!answer.ok) return answer;
    const { status } = answer.value;
    if (status === 200) return options.versionOf(answer.value);
    const mayHelp = status === 404 || status === 409 || isOpen(status);
    if (!mayHelp || attempt >= attempts) {
      return err(refusal(answer.value, `to make "${table}"`));
    }
    if (status !== 404) {
      // It may be there now, by us or by somebody else.
      await client.wait(attempt, answer.value);
      const there = await load();
      if (!there.ok) return there;
      if (there.value !== undefined) return ok(there.value);
    }
    // Nessie answers 409 where it is the namespace that is not there.
    if (hasNamespace || isOpen(status)) continue;
    const made = await makeNamespace(client, config);
    if (!made.ok) return made;
    hasNamespace = true;
  }
}

/** Makes the namespace, its upper levels first. One that is there is no fault. */
async function makeNamespace(
  client: RestClient,
  { namespace, namespaces }: RestConfig,
): Promise<Result<void>> {
  for (let levels = 1; levels <= namespace.length; levels++) {
    const some = namespace.slice(0, levels);
    const body = { namespace: some, properties: {} };
    const answer = await asked(() => client.send({ method: "POST", path: namespaces, body }));
    if (!answer.ok) return answer;
    const { status } = answer.value;
    // The upper levels may be others' to make: the last one tells.
    if (status !== 200 && status !== 409 && levels === namespace.length) {
      return err(refusal(answer.value, `to make the namespace "${some.join(".")}"`));
    }
  }
  return ok(undefined);
}

function createRequest(table: string, draft: TableMetadata): Json64 {
  const { schemas, "partition-specs": specs, "sort-orders": orders } = draft;
  return {
    name: table,
    schema: schemas.at(-1) as unknown as Json64,
    "partition-spec": specs.at(-1) as unknown as Json64,
    "write-order": orders.at(-1) ?? null,
    "stage-create": false,
    properties: { ...draft.properties, "format-version": String(draft["format-version"]) },
  };
}
