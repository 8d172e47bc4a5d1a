/** The service worker of the examples' apps. The server puts an app's version and files before it. */
import { type AppShellOptions, serveAppShell } from "@lakesync/client/service-worker";

const { appShell } = globalThis as unknown as { readonly appShell: AppShellOptions };
serveAppShell(appShell);
