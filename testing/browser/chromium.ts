import { existsSync } from "node:fs";
import process from "node:process";
import type { Browser, BrowserContext } from "playwright-core";
import { findOrInstall } from "../install_server.ts";

const PROGRAMS: readonly string[] = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** How Chromium is found. */
export interface FindChromiumOptions {
  /**
   * Whether root may install it.
   *
   * @default {true}
   */
  install?: boolean;
}

/**
 * Finds the browser that tests run in; `LAKESYNC_CHROMIUM` names another one.
 *
 * @returns Its program, or the reason for tests to be skipped.
 */
export async function findChromium(
  options: FindChromiumOptions = {},
): Promise<{ program: string; skip?: never } | { program?: never; skip: string }> {
  const { found, skip } = await findOrInstall({
    name: "Chromium",
    package: "chromium",
    find: () => {
      const { LAKESYNC_CHROMIUM: named } = process.env;
      return (named === undefined ? PROGRAMS : [named]).find((path) => existsSync(path));
    },
    install: options.install ?? true,
  });
  return found === undefined ? { skip } : { program: found };
}

// Playwright is loaded where a browser starts: every test imports this file, few start one.

/** Root has no sandbox; a small /dev/shm must not end a tab. */
const ARGS = ["--no-sandbox", "--disable-dev-shm-usage"];

/**
 * Starts a Chromium without a window.
 *
 * @param program Where it is, from {@linkcode findChromium}.
 * @returns The browser; who started it closes it.
 */
export async function startChromium(program: string): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  return await chromium.launch({ executablePath: program, args: ARGS });
}

/**
 * Starts a Chromium that keeps its data on disk, as a person's browser does. (What a context of
 * {@linkcode startChromium} stores stays in memory, and goes other ways.)
 *
 * @param program Where it is, from {@linkcode findChromium}.
 * @param directory The profile's directory.
 * @returns Its only context; who started it closes it.
 */
export async function startChromiumOn(program: string, directory: string): Promise<BrowserContext> {
  const { chromium } = await import("playwright-core");
  return await chromium.launchPersistentContext(directory, { executablePath: program, args: ARGS });
}
