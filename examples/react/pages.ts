/** Serves the React example, which has the whole server. */
import { readFile } from "node:fs/promises";
import type { Pages } from "@lakesync/deploy";
import { appPages, asIs, script, styles } from "../app_pages.ts";

const PAGE = "examples/react/page";

/** The example's pages; give them to `startServer()`. */
export function sightingPages(): Pages {
  return appPages({
    path: "",
    index: () => readFile(new URL("./page/index.html", import.meta.url), "utf8"),
    files: new Map([
      ["style.css", styles(`${PAGE}/style.css`)],
      ["icon.svg", asIs(`${PAGE}/icon.svg`, "image/svg+xml")],
      ["app.js", script(`${PAGE}/app_browser.tsx`)],
    ]),
  });
}
