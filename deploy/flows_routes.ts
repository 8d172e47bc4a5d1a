import { type Destination, ok, type Result } from "@lakesync/core";
import { onlyTables } from "@lakesync/adapter-routing";
import {
  type DestinationContext,
  type Destinations,
  type OpenDestination,
  openDestinations,
} from "./databases.ts";

/** By destination, which tables go there: undefined for all. */
export type Routes = ReadonlyMap<string, ReadonlySet<string> | undefined>;

/** What {@linkcode openRoutes} opens. */
export interface RoutesOptions {
  /** What goes where; undefined: everything to the lake and to all destinations. */
  readonly routes: Routes | undefined;
  /** What makes destinations. */
  readonly factories: Destinations;
  /** Opens the log's lake. */
  readonly lake: () => Destination;
  /** The log. */
  readonly context: Omit<DestinationContext, "name">;
}

/**
 * Opens what a log is flushed to.
 *
 * @param options What goes where.
 * @returns What the gateway is given, and what of it is to be closed; why a destination cannot be opened.
 */
export async function openRoutes(options: RoutesOptions): Promise<
  Result<{ destinations: Destination[]; opened: OpenDestination[] }>
> {
  const { routes, factories, lake, context } = options;
  const wanted = Object.entries(factories).filter(([name]) => routes?.has(name) ?? true);
  const opened = await openDestinations(Object.fromEntries(wanted), context);
  if (!opened.ok) return opened;
  const named = wanted.map(([name], i) => [name, opened.value[i]!] as const);
  const withLake = routes?.has("lake") ?? true;
  const all: (readonly [string, Destination])[] = [
    ...withLake ? [["lake", lake()] as const] : [],
    ...named,
  ];
  const destinations = all.map(([name, destination]) => {
    const tables = routes?.get(name);
    return tables === undefined
      ? destination
      : onlyTables(destination, { tables: [...tables], name });
  });
  return ok({ destinations, opened: opened.value });
}
