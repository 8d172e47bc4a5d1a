import {
  err,
  LakeSyncError,
  type Logger,
  ok,
  type Random,
  type Result,
  type Scheduler,
  type SqlDatabase,
  toLakeSyncError,
} from "@lakesync/core";
import { broadcastPort } from "./_broadcast_port_browser.ts";
import type { Engine, EngineHooks } from "./_engine.ts";
import { RemoteDatabase } from "./_remote_database.ts";
import { RemoteEngine } from "./_remote_engine.ts";
import type { ClientStorage } from "./storage.ts";
import { type StartedWorker, Tab, type TabOptions, type TabWorld } from "./_tab.ts";

/** What {@linkcode openInPage} needs. */
export interface OpenInPageOptions extends Omit<TabOptions, "world"> {
  /** Starts the worker, where the app has bundled it by itself. */
  readonly worker: (() => Worker) | undefined;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** What a client in a page is made over. */
export interface OpenedInPage {
  readonly clientId: string;
  readonly database: SqlDatabase;
  readonly engine: (hooks: EngineHooks) => Engine;
  /** Where the data is kept. */
  readonly storage: () => Promise<ClientStorage>;
  /** Removes the data; the clients of all tabs end. */
  readonly remove: () => Promise<Result<void>>;
}

/** Takes part in an app's tabs from now on; answers when a worker has the database open. */
export async function openInPage(options: OpenInPageOptions): Promise<Result<OpenedInPage>> {
  if (!("locks" in navigator)) {
    return err(
      new LakeSyncError(
        "STORAGE_ERROR",
        "Cannot open a database in this page: browsers allow that only over https and on localhost",
      ),
    );
  }
  const { worker, random, scheduler, logger, ...rest } = options;
  const world: TabWorld = {
    locks: navigator.locks,
    channel: broadcastPort,
    startWorker: (failed) => startWorker(worker ?? ownWorker, failed),
    random,
    scheduler,
    logger,
  };
  const tab = new Tab({ ...rest, world });
  const stop = followPage(tab);
  const closed = async () => {
    stop();
    await tab.close();
  };
  try {
    await tab.show();
    await tab.leader();
  } catch (thrown) {
    await closed();
    return err(toLakeSyncError(thrown, "STORAGE_ERROR"));
  }
  if (tab.welcome!.storage !== "memory") void keep(logger);
  const database = new RemoteDatabase({ finder: tab, random, closed });
  return ok({
    clientId: tab.welcome!.clientId,
    database,
    engine: (hooks) => {
      tab.hook(hooks);
      return new RemoteEngine(tab, database);
    },
    storage: async () => ({ ...await tab.estimate(), kind: tab.welcome!.storage }),
    async remove() {
      try {
        return ok(await tab.wipe());
      } catch (thrown) {
        return err(toLakeSyncError(thrown, "STORAGE_ERROR"));
      } finally {
        await closed();
      }
    },
  });
}

/** Asks the browser to keep the data also when room is short: workers may not. */
async function keep(logger: Logger): Promise<void> {
  const storage: Partial<StorageManager> | undefined = navigator.storage;
  try {
    if (await storage?.persisted?.() === true) return;
    const persisted = await storage?.persist?.() ?? false;
    logger.log("info", "storage.persist", { persisted });
  } catch (thrown) {
    logger.log("info", "storage.persist", { persisted: false, reason: String(thrown) });
  }
}

function ownWorker(): Worker {
  return new Worker(new URL("./worker_browser.ts", import.meta.url), { type: "module" });
}

function startWorker(start: () => Worker, failed: (error: LakeSyncError) => void): StartedWorker {
  const worker = start();
  worker.onerror = (event) => {
    // Faults within the worker are answered there; this is a script that cannot be loaded.
    if (event.message) return;
    failed(
      new LakeSyncError(
        "STORAGE_ERROR",
        "Cannot load the worker of @lakesync/client: bundle worker_browser.ts and give createClient the option worker",
      ),
    );
  };
  return {
    post: (message) => worker.postMessage(message),
    listen: (listener) => worker.onmessage = ({ data }) => listener(data),
    close: () => worker.terminate(),
    terminate: () => worker.terminate(),
  };
}

/**
 * Keeps a page that the browser puts aside from holding up the others: frozen, its worker would go on
 * holding the lock and the files.
 */
function followPage(tab: Tab): () => void {
  const over = new AbortController();
  const { signal } = over;
  const hide = () => tab.hide();
  const show = () => void tab.show();
  addEventListener("pagehide", hide, { signal });
  document.addEventListener("freeze", hide, { signal });
  addEventListener("pageshow", ({ persisted }) => persisted && show(), { signal });
  document.addEventListener("resume", show, { signal });
  return () => over.abort();
}
