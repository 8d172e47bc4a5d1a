import { err, LakeSyncError, ok, type Result, type Rules, type TableSchema } from "@lakesync/core";
import { createRouter, type Gateway, type GatewayService, type Shard } from "@lakesync/gateway";

/** Tables that have a log and a lake of their own. */
export interface ShardConfig {
  /** The shard's name: 1 to 32 letters, digits, `_` and `-`. */
  readonly name: string;
  /** Its tables. A table stays in the shard that it was given to. */
  readonly tables: readonly string[];
}

/** Where it is kept, in the log of the tables that no shard has, which table is in which shard. */
const PLACES_KEY = "deploy.shards";

/** The names of shards of tables. */
type Places = ReadonlyMap<string, string>;

/** What {@linkcode openSharded} opens with. */
export interface ShardedOptions {
  readonly shards: readonly ShardConfig[];
  /** The tables of all shards. */
  readonly tables: readonly TableSchema[] | undefined;
  /** The rules of all shards. */
  readonly rules: Rules | undefined;
  /** Opens a gateway over a log of its own. */
  readonly open: (id: string) => Promise<Result<Gateway>>;
}

/**
 * Opens a gateway; where there are shards, a router over gateways `ID.NAME` and, for all other
 * tables, `ID`.
 *
 * @param id What clients call it.
 * @param options The shards and how gateways are opened.
 * @returns The gateway or the router. `CONFLICT` where a table was in another shard before: its rows
 * would be gone.
 */
export async function openSharded(
  id: string,
  { shards, open, tables, rules }: ShardedOptions,
): Promise<Result<GatewayService>> {
  const places: Places = new Map(
    shards.flatMap(({ name, tables }) => tables.map((table) => [table, name] as const)),
  );
  const rest = await open(id);
  if (!rest.ok) return rest;
  // Before any table is put: none may get a second log.
  const checked = await checkPlaces(rest.value, places);
  if (!checked.ok) return checked;
  const parts: Shard[] = [];
  for (const { name, tables } of shards) {
    const gateway = await open(`${id}.${name}`);
    if (!gateway.ok) return gateway;
    parts.push({ tables, gateway: gateway.value });
  }
  const service = parts.length === 0
    ? rest.value
    : createRouter({ id, shards: parts, default: rest.value });
  const put = await putBoth(service, { tables, rules });
  if (!put.ok) return put;
  if (places.size > 0) {
    const kept = await rest.value.store.setValue(PLACES_KEY, JSON.stringify([...places]));
    if (!kept.ok) return kept;
  }
  return ok(service);
}

async function putBoth(
  service: GatewayService,
  { tables, rules }: Pick<ShardedOptions, "tables" | "rules">,
): Promise<Result<unknown>> {
  const present = await service.schema();
  if (!present.ok) return present;
  if (tables !== undefined && JSON.stringify(tables) !== JSON.stringify(present.value)) {
    const put = await service.putSchema({ tables });
    if (!put.ok) return put;
  }
  return rules === undefined ? ok(undefined) : await service.putRules(rules);
}

/** Sees that no table has moved. */
async function checkPlaces(rest: Gateway, places: Places): Promise<Result<void>> {
  const stored = await rest.store.getValue(PLACES_KEY);
  if (!stored.ok) return stored;
  const before: Places = new Map(
    stored.value === undefined ? [] : JSON.parse(stored.value) as [string, string][],
  );
  for (const [table, name] of before) {
    if (places.get(table) !== name) return moved(table, `the shard "${name}"`);
  }
  const home = rest.tables.find(({ table }) => places.has(table));
  return home === undefined ? ok(undefined) : moved(home.table, `"${rest.id}" and no shard`);
}

function moved(table: string, place: string): Result<never> {
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot move table "${table}": its log is in ${place}, leave it there`,
    ),
  );
}
