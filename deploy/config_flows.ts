import {
  err,
  isIdentifier,
  LakeSyncError,
  ok,
  type Result,
  type Source,
  type SourceChange,
  type TableSchema,
} from "@lakesync/core";
import { type CopyChoice, faultOfCopy } from "./config_flows_copy.ts";
import type { DestinationFactory, Destinations } from "./databases.ts";

/** A source, which is closed with the server where it can be. */
export type OpenSource = Source & {
  /**
   * Where a new reading begins, of a source that looks back for what was committed late.
   *
   * @default {undefined} where the last one ended
   */
  readonly resume?: (cursor: string | undefined) => string | undefined;
  /**
   * Whether it keeps something for each of its readers: then clients cannot pull from it.
   *
   * @default {false}
   */
  readonly stateful?: boolean;
  /** Ends it. */
  readonly close?: () => Promise<void>;
};

/** What comes out of the gateway's log. */
export interface GatewayFlow<T extends string = string, D extends string = string> {
  /** All tables or one. */
  readonly from: "gateway" | `gateway.${T}`;
  /** Destinations, each with a watermark of its own; `lake` is the gateway's. */
  readonly to: readonly (D | "lake")[];
}

/** What comes from a source. */
export interface SourceFlow<
  T extends string = string,
  D extends string = string,
  S extends string = string,
> {
  /** A source, or only what it has for one table. */
  readonly from: S | `${S}.${T}`;
  /**
   * `gateway`, and destinations that get it without one, by a log that nobody else sees. `lake` beside
   * `gateway` is the gateway's; without it the log has a lake of its own.
   */
  readonly to: readonly (D | "gateway" | "lake")[];
  /**
   * How often the source is read, in seconds.
   *
   * @default {60}
   */
  readonly every?: number;
  /**
   * Which records count. One that no longer does is deleted.
   *
   * @default {undefined} all
   */
  readonly where?: (change: SourceChange) => boolean;
  /**
   * What becomes of a record, also of one that deletes (which has no columns). The table and the
   * columns are then those of the gateway.
   *
   * @default {undefined} it stays as it is
   */
  readonly map?: (change: SourceChange) => SourceChange;
  /**
   * Copy the records straight to the destinations, each as a row of its own, without a log between: some
   * times as fast, for a table of millions, and for sources that only grow. `from` is then one table,
   * and `where` is not known (docs/flows.md, *Without a log*).
   *
   * @default {false}
   */
  readonly copy?: boolean | CopyChoice;
}

/** What flows from where to where. */
export interface FlowsConfig<
  T extends string = string,
  D extends string = string,
  S extends string = string,
> {
  /**
   * Where data goes beside the lake, by name: `{ pg: postgres({ url }) }`, say. What no flow names gets
   * everything, as the lake does.
   *
   * @default {{}}
   */
  readonly destinations?: { readonly [name in D]: DestinationFactory };
  /**
   * Where data comes from, by name. Clients may pull from those that are not
   * stateful by `source=NAME`.
   *
   * @default {{}}
   */
  readonly sources?: { readonly [name in S]: OpenSource };
  /**
   * What goes from where to where. Without a flow from the gateway, everything goes to the lake and to
   * all destinations that no flow names.
   *
   * @default {[]}
   */
  readonly flows?: readonly (
    | GatewayFlow<NoInfer<T>, NoInfer<D>>
    | SourceFlow<NoInfer<T>, NoInfer<D>, NoInfer<S>>
  )[];
}

/** A flow from a source as the server runs it. */
export interface LoadedFlow extends Pick<SourceFlow, "where" | "map"> {
  /** As it is written: `SOURCE` or `SOURCE.TABLE`. Names the flow. */
  readonly from: string;
  /** Where it reads. */
  readonly source: OpenSource;
  /** The one table that it takes; undefined for all. */
  readonly table: string | undefined;
  /** Whether it goes to the gateway. */
  readonly toGateway: boolean;
  /** The destinations that it goes to without one. */
  readonly direct: readonly string[];
  /** Seconds between two readings. */
  readonly every: number;
  /** Its table and how that is copied; left out where a log is between. */
  readonly copy?: CopyChoice & { readonly table: TableSchema };
}

/** The flows of a configuration. */
export interface LoadedFlows {
  /** The sources, each under the name that it is declared by. */
  readonly sources: readonly OpenSource[];
  /** By destination, which tables of the gateway go there: undefined for all. `lake` is one of them. */
  readonly routes: ReadonlyMap<string, ReadonlySet<string> | undefined>;
  /** The flows from sources. */
  readonly flows: readonly LoadedFlow[];
}

const FLOW_KEYS = ["from", "to", "every", "where", "map", "copy"];
const DEFAULT_EVERY = 60;

/**
 * Reads sources and flows of a configuration.
 *
 * @param config What is declared.
 * @param context What there is.
 * @returns The flows; undefined where nothing is declared; `VALIDATION_ERROR` with the path of the fault.
 */
export function parseFlows(
  config: { readonly sources: unknown; readonly flows: unknown },
  context: { readonly tables: readonly TableSchema[]; readonly destinations: Destinations },
): Result<LoadedFlows | undefined> {
  const { sources = {}, flows = [] } = config;
  if (config.sources === undefined && config.flows === undefined) return ok(undefined);
  const given = parseSources(sources);
  if (!given.ok) return given;
  if (!Array.isArray(flows)) return invalid("flows is not a list of { from, to }");
  const known: Known = {
    tables: new Map(context.tables.map((schema) => [schema.table, schema])),
    destinations: new Set(Object.keys(context.destinations)),
    sources: given.value,
  };
  const routes = new Map<string, Set<string> | undefined>();
  const loaded = new Map<string, LoadedFlow>();
  const kept: (string | undefined)[] = [];
  for (const [i, flow] of flows.entries()) {
    const fault = addFlow(flow, { routes, loaded, kept, known });
    if (fault !== undefined) return invalid(`flows[${i}]${fault}`);
  }
  if (routes.size === 0) {
    const named = new Set(Array.from(loaded.values(), ({ direct }) => direct).flat());
    routes.set("lake", undefined);
    for (const name of known.destinations) if (!named.has(name)) routes.set(name, undefined);
  }
  // What goes through the gateway and into the lake is the gateway's, whatever else of that goes there.
  for (const table of kept) addRoute(routes, "lake", table);
  return ok({ sources: [...known.sources.values()], routes, flows: [...loaded.values()] });
}

interface Known {
  readonly tables: ReadonlyMap<string, TableSchema>;
  readonly destinations: ReadonlySet<string>;
  readonly sources: ReadonlyMap<string, OpenSource>;
}

/** Adds a flow; gives what is wrong with it. */
function addFlow(
  flow: unknown,
  into: {
    routes: Map<string, Set<string> | undefined>;
    loaded: Map<string, LoadedFlow>;
    /** The tables that flow through the gateway into its lake; undefined for all. */
    kept: (string | undefined)[];
    known: Known;
  },
): string | undefined {
  const { routes, loaded, kept, known } = into;
  if (typeof flow !== "object" || flow === null) return " is no { from, to }";
  const stranger = Object.keys(flow).find((key) => !FLOW_KEYS.includes(key));
  if (stranger !== undefined) return `: "${stranger}" is not known, take it out`;
  const { from, to, every, where, map, copy } = flow as { readonly [key: string]: unknown };
  if (typeof from !== "string") return `.from is not a name`;
  const [origin = "", table, ...rest] = from.split(".");
  if (rest.length > 0) return `.from "${from}" is neither a name nor NAME.TABLE`;
  if (table !== undefined && !known.tables.has(table)) {
    return `.from "${from}": there is no table "${table}"`;
  }
  if (!Array.isArray(to) || to.length === 0) return ".to is not a list of names";
  const fromGateway = origin === "gateway";
  for (const [j, name] of (to as unknown[]).entries()) {
    if (name === "lake" || name === "gateway" && !fromGateway) continue;
    if (typeof name === "string" && known.destinations.has(name)) continue;
    return `.to[${j}] "${name}" is neither "${
      fromGateway ? "lake" : 'gateway" nor "lake'
    }" nor a destination`;
  }
  const names = to as string[];
  if (new Set(names).size < names.length) return ".to names one destination twice";
  if (fromGateway) {
    if ([every, where, map, copy].some((given) => given !== undefined)) {
      return `: every, where, map and copy are for flows from a source`;
    }
    for (const name of names) addRoute(routes, name, table);
    return undefined;
  }
  const source = known.sources.get(origin);
  if (source === undefined) return `.from "${from}": there is no source "${origin}"`;
  if (loaded.has(from)) return `.from "${from}" has a flow already: put both into one`;
  if (every !== undefined && !(typeof every === "number" && every > 0 && Number.isFinite(every))) {
    return ".every is not a number of seconds above 0";
  }
  for (const [name, made] of Object.entries({ where, map })) {
    if (made !== undefined && typeof made !== "function") return `.${name} is no function`;
  }
  const copied = copy !== undefined && copy !== false;
  const copyFault = copied
    ? faultOfCopy(copy, { source, table, where, toGateway: names.includes("gateway") })
    : undefined;
  if (copyFault !== undefined) return `.copy ${copyFault}`;
  const toGateway = names.includes("gateway");
  if (toGateway && names.includes("lake")) kept.push(table);
  loaded.set(from, {
    from,
    source,
    table,
    toGateway,
    direct: names.filter((name) => name !== "gateway" && !(toGateway && name === "lake")),
    every: every ?? DEFAULT_EVERY,
    ...(where !== undefined && { where: where as NonNullable<SourceFlow["where"]> }),
    ...(map !== undefined && { map: map as NonNullable<SourceFlow["map"]> }),
    ...(copied && {
      copy: { ...(copy === true ? {} : copy as CopyChoice), table: known.tables.get(table!)! },
    }),
  });
  return undefined;
}

/** Adds a table, or all of them, to what goes to a destination. */
function addRoute(
  routes: Map<string, Set<string> | undefined>,
  name: string,
  table: string | undefined,
): void {
  if (table === undefined) routes.set(name, undefined);
  else if (!routes.has(name)) routes.set(name, new Set([table]));
  else routes.get(name)?.add(table);
}

function parseSources(value: unknown): Result<ReadonlyMap<string, OpenSource>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid("sources is no object of names and sources");
  }
  const sources = new Map<string, OpenSource>();
  for (const [name, source] of Object.entries(value)) {
    if (!isIdentifier(name)) return invalid(`sources: "${name}" is no identifier`);
    if (name === "gateway") {
      return invalid("sources.gateway: that is the gateway's name, take another");
    }
    if (typeof (source as Partial<Source> | null)?.read !== "function") {
      return invalid(`sources.${name} is no source: it has no read()`);
    }
    sources.set(name, renamed(source as OpenSource, name));
  }
  return ok(sources);
}

/** A source under the name that it is declared by. */
function renamed(source: OpenSource, name: string): OpenSource {
  return {
    name,
    read: (options) => source.read(options),
    ...(source.stateful === true && { stateful: true }),
    ...(source.resume !== undefined && { resume: (cursor) => source.resume!(cursor) }),
    ...(source.close !== undefined && { close: () => source.close!() }),
  };
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
