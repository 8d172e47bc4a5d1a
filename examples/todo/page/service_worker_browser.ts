/** The app's service worker. The server puts the version and its files before it. */
import { type AppShellOptions, serveAppShell } from "@lakesync/client/service-worker";

const { appShell } = globalThis as unknown as { readonly appShell: AppShellOptions };
serveAppShell(appShell);
