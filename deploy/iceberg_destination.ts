import { join } from "node:path";
import process from "node:process";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { parsePlace } from "./config_lake.ts";
import type { DestinationContext, DestinationFactory } from "./databases.ts";
import { type Env, type Lakes, openLakes } from "./lake.ts";
import type { CatalogueChoice, LakeChoice } from "./lake_choice.ts";
import { keepPlace, type LakePlace } from "./lake_places.ts";

/** Options of {@linkcode iceberg}: a directory, a bucket or a catalogue, and how that is reached. */
export type IcebergOptions =
  & Pick<LakeChoice, "endpoint" | "region" | "pathStyle">
  & {
    /**
     * Where keys and tokens are taken from: the variables that `lake` takes them from.
     *
     * @default {process.env}
     */
    readonly env?: { readonly [name: string]: string | undefined };
  }
  & (
    | { readonly directory: string }
    | { readonly url: string }
    | { readonly catalogue: CatalogueChoice }
  );

/**
 * Iceberg tables beside the server's own lake, for all that flows there or for a flow of its own. Each
 * log has a place of its own, as in the lake: in a directory or a bucket the folder of its id
 * (`default`, or `flow_shop__orders` for the flow `shop.orders`), in a catalogue the namespace
 * `lakesync_{gateway}`.
 *
 * @param options Where the tables are.
 * @returns What a configuration takes.
 * @throws {TypeError} Where not exactly one of `directory`, `url` and `catalogue` is given.
 *
 * @example In a lakesync.config.ts
 * ```ts
 * import { csvRecords, recordSource } from "@lakesync/adapter-sources";
 * import { defineTable, string } from "@lakesync/core";
 * import { defineLake, iceberg } from "@lakesync/deploy";
 *
 * const orders = defineTable("orders", { item: string() });
 * export default defineLake({
 *   tables: [orders],
 *   sources: {
 *     shop: recordSource({
 *       name: "shop",
 *       records: csvRecords("orders.csv"),
 *       change: ({ item }, index) => ({
 *         op: "upsert",
 *         table: "orders",
 *         rowId: `o${index}`,
 *         columns: new Map([["item", item!]]),
 *       }),
 *     }),
 *   },
 *   destinations: { history: iceberg({ directory: "lakesync-data/history" }) },
 *   flows: [{ from: "shop.orders", to: ["history"], copy: true }],
 * });
 * ```
 */
export function iceberg(options: IcebergOptions): DestinationFactory {
  const { place, open } = icebergPlace(options);
  return keepPlace(async (context) => {
    const lakes = await open(context);
    return lakes.ok ? ok(lakes.value.destination(context.gateway, context.name)) : lakes;
  }, { ...place, cold: false });
}

/** The place of {@linkcode iceberg}'s tables, to be opened for a destination; throws as that does. */
export function icebergPlace(options: IcebergOptions): {
  readonly place: LakePlace;
  readonly open: (context: Omit<DestinationContext, "store">) => Promise<Result<Lakes>>;
} {
  const { directory, env = process.env, ...choice } = options as
    & LakeChoice
    & { directory?: string; env?: Env };
  const places = Object.entries({ directory, url: choice.url, catalogue: choice.catalogue })
    .filter(([, place]) => place !== undefined);
  if (places.length !== 1) {
    throw new TypeError(
      `Cannot keep Iceberg tables in ${
        places.length === 0 ? "no place" : places.map(([name]) => name).join(" and ")
      }: give one of directory, url and catalogue`,
    );
  }
  const place: LakePlace = { choice, directory: (id) => join(directory ?? "", id), env };
  const open = async (
    { name, gateway, logger }: Omit<DestinationContext, "store">,
  ): Promise<Result<Lakes>> => {
    const path = `destinations.${name}`;
    const faulty = ({ code, message }: LakeSyncError) =>
      err(new LakeSyncError(code, `${path}: ${message}`));
    const parsed = parsePlace(choice, path);
    if (!parsed.ok) return parsed;
    const lakes = await openLakes({ ...place, patient: true });
    if (!lakes.ok) return faulty(lakes.error);
    const { unprobed } = lakes.value;
    if (unprobed !== undefined) {
      const { code, message } = unprobed;
      logger.log("warn", "lake.unprobed", { gateway, destination: name, code, message });
    }
    return lakes;
  };
  return { place, open };
}
