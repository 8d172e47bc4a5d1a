import {
  ok,
  type Result,
  systemClock,
  systemRandom,
  systemScheduler,
  type Table,
} from "@lakesync/core";
import { consoleLogger } from "./_console_logger_browser.ts";
import type { ClientOptions } from "./create_client.ts";
import { issuesOf } from "./_judge_row.ts";
import { LocalClient } from "./_local_client.ts";
import type { LocalTable } from "./_local_table.ts";
import { openInPage } from "./_open_browser.ts";

/** What of the options has been read already. */
export interface PageOptions {
  readonly name: string;
  readonly tables: ReadonlyMap<string, LocalTable>;
  readonly auto: boolean;
  readonly intervalMs: number;
  readonly retentionMs: number;
}

/** Opens a client in a page of a browser: a worker has the database, and syncs for all tabs. */
export async function createInPage(
  options: ClientOptions<readonly Table[]>,
  page: PageOptions,
): Promise<Result<LocalClient>> {
  const memory = page.name === ":memory:";
  const random = options.random ?? systemRandom;
  const scheduler = options.scheduler ?? systemScheduler;
  const logger = options.logger ?? consoleLogger;
  const { auto, intervalMs, retentionMs } = page;
  const timing = { auto, intervalMs, retentionMs };
  const opened = await openInPage({
    name: memory ? `:memory:${random.uuid()}` : page.name,
    storage: memory ? "memory" : undefined,
    tables: options.tables.map(({ schema, indexes, columns, validate }) => ({
      schema,
      indexes,
      bigints: Object.entries(columns).filter(([, { bigint }]) => bigint).map(([name]) => name),
      judged: validate !== undefined,
    })),
    judge: (name, row) => issuesOf(page.tables.get(name), row),
    clientId: options.clientId,
    // From the page's place: a worker may have another one.
    config: {
      ...timing,
      url: options.url === undefined ? undefined : new URL(options.url, document.baseURI).href,
      gateway: options.gateway,
      wasmUrl: options.wasmUrl && new URL(options.wasmUrl, document.baseURI).href,
    },
    getToken: options.getToken,
    worker: options.worker,
    random,
    scheduler,
    logger,
  });
  if (!opened.ok) return opened;
  const { clientId, database, engine, remove, storage } = opened.value;
  return ok(
    new LocalClient({
      ...timing,
      clientId,
      tables: page.tables,
      database,
      ownsDatabase: true,
      transport: undefined,
      engine,
      remove,
      storage,
      outbox: 0,
      clock: options.clock ?? systemClock,
      random,
      scheduler,
      logger,
    }),
  );
}
