/** Serves the to-do app at `/examples/todo`. */
import { readFile } from "node:fs/promises";
import type { Pages } from "@lakesync/deploy";
import { type AppFile, appPages, asIs, script, styles } from "../app_pages.ts";
import { signIn } from "./sign_in.ts";

/** Options of {@linkcode todoPages}. */
export interface TodoPagesOptions {
  /**
   * The gateway that has the data.
   *
   * @default {"default"}
   */
  gateway?: string;
  /**
   * What the gateway verifies tokens with: with it the pages sign tokens for whoever asks.
   *
   * @default {undefined} no tokens: for a gateway without authentication
   */
  secret?: string;
}

/** Where the app is. */
export const TODO_PATH = "/examples/todo";

const PAGE = "examples/todo/page";
const ICONS = ["icon-180.png", "icon-192.png", "icon-512.png", "icon-maskable-512.png"];

/** The files that the app opens with. */
const FILES: ReadonlyMap<string, AppFile> = new Map([
  ["style.css", styles(`${PAGE}/style.css`)],
  ["app.js", script(`${PAGE}/app_browser.ts`)],
  ["manifest.webmanifest", asIs(`${PAGE}/manifest.webmanifest`, "application/manifest+json")],
  ["icon.svg", asIs(`${PAGE}/icon.svg`, "image/svg+xml")],
  ...ICONS.map((name): [string, AppFile] => [name, asIs(`${PAGE}/${name}`, "image/png")]),
]);

/** The app's pages; give them to `startServer()`. */
export function todoPages(options: TodoPagesOptions = {}): Pages {
  const { gateway = "default", secret } = options;
  const setup = JSON.stringify({ gateway, signIn: secret !== undefined });
  return appPages({
    path: TODO_PATH,
    files: FILES,
    async index() {
      const text = await readFile(new URL("./page/index.html", import.meta.url), "utf8");
      return text.replace(
        /(<script type="application\/json" id="setup">)[^]*?(<\/script>)/,
        (_, begin: string, end: string) => begin + setup + end,
      );
    },
    other: (name, request) =>
      name === "sign-in" && secret !== undefined ? signIn(request, { gateway, secret }) : undefined,
  });
}
