import type { Json64 } from "@lakesync/adapter-iceberg";
import {
  type JsonObject,
  newMetadata,
  type Refusal,
  refusalOf,
  withUpdates,
} from "./catalogue_rules.ts";

/** An answer of the catalogue. */
export interface CatalogueAnswer {
  readonly status: number;
  readonly body: Json64;
}

/** A request to the catalogue. */
export interface CatalogueRequest {
  readonly method: string;
  /** Below the catalogue's own address: `/v1/config`. */
  readonly path: string;
  readonly key: string | null;
  readonly body: Json64 | undefined;
}

const TABLES = "/v1/namespaces/lake/tables";

/**
 * A REST catalogue of one namespace. Each request is done at once and as a whole; when it comes through,
 * and what becomes of its answer, is the network's affair.
 */
export class SharedCatalogue {
  readonly #location: string;
  readonly #idempotent: boolean;
  readonly #tables: Map<string, JsonObject>;
  #namespace = false;
  /** What was answered to which key. */
  readonly #done = new Map<string, CatalogueAnswer>();

  /**
   * @param location What the tables' locations are below.
   * @param options Whether it takes idempotency keys, and the tables that it begins with.
   */
  constructor(
    location: string,
    options: { idempotent: boolean; tables?: ReadonlyMap<string, JsonObject> },
  ) {
    this.#location = location;
    this.#idempotent = options.idempotent;
    this.#tables = new Map(options.tables);
  }

  /** A copy of what it knows. */
  backup(): ReadonlyMap<string, JsonObject> {
    return new Map(this.#tables);
  }

  /** The table that a request would change; undefined for one that only asks. */
  tableOf({ method, path }: CatalogueRequest): string | undefined {
    return method === "POST" && path.startsWith(`${TABLES}/`)
      ? path.slice(TABLES.length + 1)
      : undefined;
  }

  /** Does a request. */
  answer(request: CatalogueRequest, now: number): CatalogueAnswer {
    const { path, method, key } = request;
    if (path === "/v1/config") {
      const lifetime = this.#idempotent && { "idempotency-key-lifetime": "PT30M" };
      return { status: 200, body: { defaults: {}, overrides: {}, ...lifetime } };
    }
    if (path === "/v1/namespaces") {
      this.#namespace = true;
      return { status: 200, body: {} };
    }
    if (path === TABLES) {
      return method === "GET" ? this.#list() : this.#create(request.body as JsonObject, now);
    }
    const name = path.slice(TABLES.length + 1);
    const metadata = this.#tables.get(name);
    if (metadata === undefined) return refused(404, `no table ${name}`);
    if (method === "GET") return { status: 200, body: this.#loaded(name) };
    const before = this.#idempotent && key !== null ? this.#done.get(key) : undefined;
    if (before !== undefined) return before;
    const answer = this.#commit(name, metadata, request.body as JsonObject);
    if (key !== null && answer.status === 200) this.#done.set(key, answer);
    return answer;
  }

  #list(): CatalogueAnswer {
    const identifiers = [...this.#tables.keys()].map((name) => ({ namespace: ["lake"], name }));
    return { status: 200, body: { identifiers } };
  }

  #create(request: JsonObject, now: number): CatalogueAnswer {
    const name = String(request.name);
    if (!this.#namespace) return refused(404, "no namespace lake");
    if (this.#tables.has(name)) return refused(409, `table ${name} is there already`);
    const uuid = `00000000-0000-4000-9000-${String(this.#tables.size).padStart(12, "0")}`;
    const location = `${this.#location}/${name}`;
    this.#tables.set(name, newMetadata(request, { uuid, location, now }));
    return { status: 200, body: this.#loaded(name) };
  }

  #commit(name: string, metadata: JsonObject, request: JsonObject): CatalogueAnswer {
    const requirements = request.requirements as readonly JsonObject[];
    const next: JsonObject | Refusal = refusalOf(metadata, requirements) ??
      withUpdates(metadata, request.updates as readonly JsonObject[]);
    if ("status" in next) return refused(Number(next.status), String(next.reason));
    this.#tables.set(name, next);
    return { status: 200, body: this.#loaded(name) };
  }

  #loaded(name: string): Json64 {
    const metadata = this.#tables.get(name)!;
    return { "metadata-location": `${this.#location}/${name}/metadata/x.json`, metadata };
  }
}

function refused(status: number, message: string): CatalogueAnswer {
  return { status, body: { error: { message, type: "Refused", code: status } } };
}
