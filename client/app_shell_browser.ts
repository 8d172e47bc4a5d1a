/**
 * Registers the service worker with which an app opens without a network.
 *
 * @module
 */
import { err, LakeSyncError, ok, type Result, systemScheduler } from "@lakesync/core";
import { ACTIVATE, COUNT_WINDOWS } from "./_shell_messages.ts";

/** Options of {@linkcode registerAppShell}. */
export interface RegisterAppShellOptions {
  /**
   * The addresses that it opens offline: the beginning that they share.
   *
   * @default {undefined} the folder of the script
   */
  scope?: string;
  /**
   * Called when a newer version of the app is on the device.
   *
   * @param apply Loads the page anew, with the newer version.
   * @default {() => {}} it shows once all tabs of the app are closed, or the only one loads anew
   */
  onUpdate?: (apply: () => void) => void;
}

const RETRY_MS = 250;

/**
 * Registers an app's service worker, one that calls `serveAppShell()`, and looks for a newer version
 * whenever the page comes to the front.
 *
 * @param script The service worker's URL: a script without imports.
 * @returns Whether this browser has service workers; `STORAGE_ERROR` where this one is refused.
 *
 * @example Register it, where the app starts
 * ```ts
 * import { registerAppShell } from "@lakesync/client/app-shell";
 *
 * await registerAppShell("/service_worker.js", {
 *   onUpdate: (apply) => {
 *     if (confirm("There is a new version. Load it?")) apply();
 *   },
 * });
 * ```
 */
export async function registerAppShell(
  script: string,
  options: RegisterAppShellOptions = {},
): Promise<Result<boolean>> {
  const { scope, onUpdate = () => {} } = options;
  const container: ServiceWorkerContainer | undefined = "document" in globalThis
    ? navigator.serviceWorker
    : undefined;
  if (container === undefined) return ok(false);
  let applying = false;
  const apply = async (worker: ServiceWorker): Promise<void> => {
    applying = true;
    // Chromium forgets a request that comes while the old one answers the page's last requests.
    while (worker.state === "installed") {
      worker.postMessage(ACTIVATE);
      await systemScheduler.delay(RETRY_MS);
    }
  };
  // The first version takes over a page that is of that version anyway.
  let controlled = container.controller !== null;
  container.addEventListener("controllerchange", () => {
    if (applying) location.reload();
    // Another tab has let the newer one take over.
    else if (controlled) onUpdate(() => location.reload());
    controlled = true;
  });
  try {
    const registration = await container.register(script, scope === undefined ? {} : { scope });
    const offer = (worker: ServiceWorker): void => {
      if (container.controller !== null) onUpdate(() => void apply(worker));
    };
    registration.addEventListener("updatefound", () => {
      const worker = registration.installing;
      worker?.addEventListener("statechange", () => {
        if (worker.state === "installed") offer(worker);
      });
    });
    document.addEventListener("visibilitychange", () => {
      // Offline it fails, and the next time may be better.
      if (!document.hidden) void registration.update().catch(() => {});
    });
    const { waiting } = registration;
    if (waiting !== null) {
      // Just opened, and alone: nobody is in the middle of anything.
      if (await countWindows(waiting) <= 1) void apply(waiting);
      else offer(waiting);
    }
    return ok(true);
  } catch (cause) {
    return err(
      new LakeSyncError(
        "STORAGE_ERROR",
        `Cannot register the service worker ${script}: ${
          cause instanceof Error ? cause.message : String(cause)
        }; serve it from the page's origin, over https or on localhost`,
        { cause },
      ),
    );
  }
}

function countWindows(worker: ServiceWorker): Promise<number> {
  const { port1, port2 } = new MessageChannel();
  worker.postMessage(COUNT_WINDOWS, [port2]);
  return new Promise((resolve) => port1.onmessage = ({ data }) => resolve(data));
}
