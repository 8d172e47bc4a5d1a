import {
  type Clock,
  err,
  type ObjectStore,
  ok,
  type Random,
  type Result,
  type Scheduler,
  systemClock,
  systemRandom,
  systemScheduler,
  toLakeSyncError,
} from "@lakesync/core";
import type { Catalogue } from "./catalogue.ts";
import type { Json64 } from "./json64.ts";
import { metadataOf, type TableMetadata } from "./metadata.ts";
import { authoriser, type RestAuth } from "./rest_auth.ts";
import { member, refusal, type RestAnswer, RestClient, type RestRequest } from "./rest_client.ts";
import { restCommit } from "./rest_commit.ts";
import { restCreate } from "./rest_create.ts";
import { asked, readConfig, type RestConfig } from "./rest_session.ts";
import {
  type LentKeys,
  lentKeys,
  renewing,
  storageProperties,
  type TablePlace,
  tableStores,
} from "./rest_storage.ts";
import { checkedVersion, type TableVersion } from "./table.ts";

/** Options of {@linkcode restCatalogue}. */
export interface RestCatalogueOptions {
  /** The catalogue's URL, without `/v1`: `http://127.0.0.1:19120/iceberg`. */
  readonly url: string;
  /** The levels of the namespace that the tables are in; made where it is not there. */
  readonly namespace: readonly string[];
  /** Opens the files of a table. */
  readonly openStore: (place: TablePlace) => ObjectStore;
  /**
   * The warehouse, where the catalogue has several.
   *
   * @default {undefined} the catalogue's own choice
   */
  readonly warehouse?: string;
  /**
   * How the catalogue knows who asks.
   *
   * @default {undefined} not at all
   */
  readonly auth?: RestAuth;
  /**
   * Whether the catalogue is asked to lend keys for the tables' files.
   *
   * @default {false}
   */
  readonly vended?: boolean;
  /**
   * Properties of a client, which the catalogue may override: `prefix`, say.
   *
   * @default {{}}
   */
  readonly properties?: { readonly [name: string]: string };
  /**
   * How often a request is tried where the failure may pass.
   *
   * @default {6}
   */
  readonly attempts?: number;
  /**
   * How long an answer is waited for, in ms.
   *
   * @default {60_000}
   */
  readonly timeoutMs?: number;
  /**
   * Physical time, for signatures and for tokens that expire.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
  /**
   * Chance, for backoff and idempotency keys.
   *
   * @default {systemRandom}
   */
  readonly random?: Random;
  /**
   * Waiting, for backoff.
   *
   * @default {systemScheduler}
   */
  readonly scheduler?: Scheduler;
}

const CREDENTIALS_ENDPOINT = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials";

/**
 * The tables in a namespace of an Iceberg REST catalogue: Nessie, Polaris, Lakekeeper, R2 Data
 * Catalog, S3 Tables, Glue.
 *
 * @param options Where, as whom, and how its tables' files are opened.
 * @returns The catalogue. It is first asked when something is wanted of it.
 *
 * @example A catalogue whose tables lie in local files
 * ```ts
 * import { icebergDestination, restCatalogue } from "@lakesync/adapter-iceberg";
 * import { fileObjectStore } from "@lakesync/adapter-file";
 * import { fileURLToPath } from "node:url";
 *
 * const catalogue = restCatalogue({
 *   url: "http://127.0.0.1:8181",
 *   namespace: ["lake"],
 *   auth: { kind: "oauth2", clientId: "lakesync", clientSecret: "secret" },
 *   openStore: ({ location }) => fileObjectStore({ directory: fileURLToPath(location) }),
 * });
 * const destination = icebergDestination({ catalogue });
 * ```
 *
 * @see {@link https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml | Iceberg REST}
 */
export function restCatalogue(options: RestCatalogueOptions): Catalogue {
  const {
    namespace,
    openStore,
    warehouse,
    auth,
    vended = false,
    properties = {},
    attempts = 6,
    timeoutMs = 60_000,
    clock = systemClock,
    random = systemRandom,
    scheduler = systemScheduler,
  } = options;
  if (!URL.canParse(options.url)) {
    throw new TypeError(`Cannot use "${options.url}" as a catalogue: it is no URL`);
  }
  if (namespace.length === 0 || namespace.includes("")) {
    throw new TypeError("Cannot use an empty namespace: name each of its levels");
  }
  const url = options.url.replace(/\/+$/, "");
  const client = new RestClient({
    url,
    authoriser: authoriser(auth, { url, clock }),
    attempts,
    timeoutMs,
    clock,
    random,
    scheduler,
  });
  const delegation: { [name: string]: string } = vended
    ? { "X-Iceberg-Access-Delegation": "vended-credentials" }
    : {};
  const stores = new Map<string, { readonly location: string; readonly store: ObjectStore }>();
  const tags = new Map<string, { readonly tag: string; readonly version: TableVersion }>();
  const losses = new Map<string, number>();
  let known: Promise<Result<RestConfig>> | undefined;

  const config = async (): Promise<Result<RestConfig>> => {
    known ??= readConfig(client, { warehouse, namespace, properties });
    const read = await known;
    if (!read.ok) known = undefined;
    return read;
  };

  const send = (request: RestRequest): Promise<Result<RestAnswer>> =>
    asked(() => client.send(request));

  const pathOf = ({ tables }: RestConfig, table: string): string =>
    `${tables}/${encodeURIComponent(table)}`;

  /** The version in an answer; its files can be reached from now on. */
  const versionIn = (
    table: string,
    { headers, body }: RestAnswer,
    config: RestConfig,
  ): Result<TableVersion> => {
    const metadata = member(body, "metadata");
    const version = checkedVersion(
      table,
      { number: 1, file: String(member(body, "metadata-location") ?? table) },
      metadataOf(metadata ?? null),
    );
    if (!version.ok) return version;
    const { location } = version.value.metadata;
    if (stores.get(table)?.location !== location) {
      try {
        const store = openStore(placeOf(table, { location, body, config }));
        stores.set(table, { location, store });
      } catch (thrown) {
        return err(toLakeSyncError(thrown, "STORAGE_ERROR"));
      }
    }
    const tag = headers.get("etag");
    if (tag === null) tags.delete(table);
    else tags.set(table, { tag, version: version.value });
    return version;
  };

  const placeOf = (
    table: string,
    { location, body, config }: { location: string; body: Json64 | undefined; config: RestConfig },
  ): TablePlace => {
    const own = storageProperties(body, location);
    const lent = vended ? lentKeys(own, clock.now()) : undefined;
    const renew = async (): Promise<LentKeys> => {
      const path = pathOf(config, table);
      const has = config.endpoints?.has(CREDENTIALS_ENDPOINT) === true;
      const answer = await client.send({
        method: "GET",
        path: has ? `${path}/credentials` : path,
        headers: delegation,
      });
      const keys = lentKeys(storageProperties(answer.body, location), clock.now());
      if (answer.status === 200 && keys !== undefined) return keys;
      throw refusal(answer, `the request of credentials for "${table}"`);
    };
    return {
      location,
      properties: new Map([...config.properties, ...own]),
      credentials: lent && renewing(lent, { clock, renew }),
    };
  };

  const load = async (table: string): Promise<Result<TableVersion | undefined>> => {
    const about = await config();
    if (!about.ok) return about;
    const held = tags.get(table);
    const answer = await send({
      method: "GET",
      path: pathOf(about.value, table),
      headers: { ...delegation, ...(held !== undefined && { "if-none-match": held.tag }) },
    });
    if (!answer.ok) return answer;
    const { status } = answer.value;
    if (status === 304 && held !== undefined) return ok(held.version);
    if (status === 404) {
      stores.delete(table);
      tags.delete(table);
      return ok(undefined);
    }
    if (status !== 200) return err(refusal(answer.value, `to load "${table}"`));
    return versionIn(table, answer.value, about.value);
  };

  const create = async (table: string, draft: TableMetadata): Promise<Result<TableVersion>> => {
    const about = await config();
    if (!about.ok) return about;
    return await restCreate(
      {
        client,
        config: about.value,
        headers: delegation,
        attempts,
        load: () => load(table),
        versionOf: (answer) => versionIn(table, answer, about.value),
      },
      table,
      draft,
    );
  };

  const list = async (): Promise<Result<readonly string[]>> => {
    const about = await config();
    if (!about.ok) return about;
    const names: string[] = [];
    let page = "";
    do {
      const answer = await send({
        method: "GET",
        path: about.value.tables,
        ...(page !== "" && { query: { pageToken: page } }),
      });
      if (!answer.ok) return answer;
      if (answer.value.status === 404) return ok([]);
      if (answer.value.status !== 200) return err(refusal(answer.value, "to list the tables"));
      const found = member(answer.value.body, "identifiers");
      for (const one of Array.isArray(found) ? found as readonly Json64[] : []) {
        const name = member(one, "name");
        if (typeof name === "string") names.push(name);
      }
      page = String(member(answer.value.body, "next-page-token") ?? "");
    } while (page !== "");
    return ok(names.sort());
  };

  return {
    store: tableStores(url, async (table) => {
      const held = stores.get(table);
      if (held !== undefined) return ok(held.store);
      const loaded = await load(table);
      return loaded.ok ? ok(stores.get(table)?.store) : loaded;
    }),
    list,
    load,
    create,
    async commit(table, base, next) {
      const about = await config();
      if (!about.ok) return { status: "failed", error: about.error };
      const outcome = await restCommit(
        {
          client,
          clock,
          random,
          path: pathOf(about.value, table),
          table,
          idempotent: about.value.idempotent,
          attempts,
          losses: losses.get(table) ?? 0,
          load: () => load(table),
          versionOf(answer) {
            const version = versionIn(table, answer, about.value);
            return version.ok ? version.value : undefined;
          },
        },
        base,
        next,
      );
      losses.set(table, outcome.status === "lost" ? (losses.get(table) ?? 0) + 1 : 0);
      return outcome;
    },
  };
}
