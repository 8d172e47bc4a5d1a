/** Whether browsers offer to install the app. */
import { readFile } from "node:fs/promises";
import { assert, assertEquals } from "@std/assert";
import { findChromium, startChromiumOn, test, withTempDir } from "@lakesync/testing";
import { skip, withApp } from "./testdata/app.ts";

interface ManifestIcon {
  readonly src: string;
  readonly sizes: string;
  readonly type: string;
  readonly purpose?: string;
}

interface Manifest {
  readonly id: string;
  readonly icons: readonly ManifestIcon[];
  readonly start_url: string;
  readonly display: string;
}

test({
  name: "Chromium's audit finds nothing that stands in the way of installing the app",
  timeoutMs: 180_000,
  skip,
}, () =>
  withApp(({ url }) =>
    withTempDir(async (profile) => {
      // In a window without a profile nothing can be installed.
      const context = await startChromiumOn((await findChromium()).program!, profile);
      try {
        const page = await context.newPage();
        const cdp = await context.newCDPSession(page);
        const audit = async (): Promise<string[]> => {
          const { installabilityErrors } = await cdp.send("Page.getInstallabilityErrors");
          return installabilityErrors.map(({ errorId }) => errorId);
        };
        await page.goto(`${url}/icon.svg`);
        assertEquals(await audit(), ["no-manifest"], "the audit finds what is missing");

        await page.goto(url);
        await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
        assertEquals(await audit(), []);
        const { errors, data } = await cdp.send("Page.getAppManifest");
        assertEquals(errors, []);
        const { appId, recommendedId } = await cdp.send("Page.getAppId");
        assertEquals(new URL(appId!).pathname, "/examples/todo/");
        assertEquals(recommendedId, "/examples/todo/", "its id is that of no other app here");

        const { icons, start_url, display } = JSON.parse(data!) as Manifest;
        assertEquals(display, "standalone");
        assertEquals(new URL(start_url, `${url}/`).href, `${url}/`);
        const purposes = icons.map(({ sizes, purpose = "any" }) => `${sizes} ${purpose}`);
        for (const wanted of ["192x192 any", "512x512 any", "512x512 maskable"]) {
          assert(purposes.includes(wanted), `there is no icon ${wanted}`);
        }
        for (const { src, sizes, type } of icons) {
          if (type !== "image/png") continue;
          const png = await readFile(new URL(`./page/${src}`, import.meta.url));
          assertEquals(`${png.readUInt32BE(16)}x${png.readUInt32BE(20)}`, sizes, src);
        }
      } finally {
        await context.close();
      }
    })
  ));
