// Nobody else writes where a lifecycle's old rows go: a server says so before it opens anything.
import { mkdir, symlink } from "node:fs/promises";
import { join, relative } from "node:path";
import process from "node:process";
import { recordSource } from "@lakesync/adapter-sources";
import { defineTable, err, LakeSyncError, string } from "@lakesync/core";
import { test, withTempDir } from "@lakesync/testing";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseFlows } from "./config_flows.ts";
import type { DestinationFactory, Destinations } from "./databases.ts";
import { iceberg, type IcebergOptions } from "./iceberg_destination.ts";
import type { LakeChoice } from "./lake_choice.ts";
import { lifecycle } from "./lifecycle.ts";
import { startServer } from "./server.ts";

const notes = defineTable("notes", { text: string() }).schema;

/** A lifecycle of which the hot database says that it was opened: then the places were no hindrance. */
function into(cold: IcebergOptions): DestinationFactory {
  const hot = () => Promise.resolve(err(new LakeSyncError("NOT_FOUND", "opened")));
  return lifecycle({ hot, cold, maxAgeDays: 1 });
}

/** Why a server does not start. */
async function refusal(
  data: string,
  options: { lake?: LakeChoice; gateways?: string[]; flows?: unknown[] } & {
    destinations: Destinations;
  },
): Promise<string> {
  const { flows: list, ...others } = options;
  const source = recordSource({ name: "shop", records: () => [], change: () => undefined });
  const flows = list && parseFlows(
    { sources: { shop: source }, flows: list },
    { tables: [notes], destinations: options.destinations },
  );
  if (flows?.ok === false) return flows.error.message;
  const given = flows?.value === undefined ? {} : { flows: flows.value };
  const started = await startServer({ data, tables: [notes], ...others, ...given });
  assert(!started.ok, "it starts");
  assertEquals(
    started.error.code,
    started.error.message.endsWith("opened") ? "NOT_FOUND" : "VALIDATION_ERROR",
  );
  return started.error.message;
}

test("a server does not start where a lifecycle's cold directory is its own lake or a destination's", () =>
  withTempDir(async (dir) => {
    const data = join(dir, "data");
    await mkdir(data);
    await symlink(data, join(dir, "link"));
    const lakes = [
      join(data, "lake"),
      `${dir}/other/..//data/lake/`,
      relative(process.cwd(), join(data, "lake")),
      join(dir, "link", "lake"),
    ];
    for (const directory of lakes) {
      const message = await refusal(data, { destinations: { db: into({ directory }) } });
      assertStringIncludes(message, "destinations.db.cold: Cannot move rows");
      assertStringIncludes(
        message,
        'lake writes the log "default" there, give destinations.db.cold a place of its own',
      );
    }
    const [here, there] = [join(dir, "here"), `${dir}/here/`];
    // Whichever is declared first.
    for (
      const destinations of [
        { db: into({ directory: here }), history: iceberg({ directory: there }) },
        { history: iceberg({ directory: there }), db: into({ directory: here }) },
      ] as Destinations[]
    ) {
      const message = await refusal(data, { destinations });
      assertStringIncludes(message, "destinations.db.cold: Cannot move rows");
      assertStringIncludes(message, "destinations.history writes");
    }
    const two = { db: into({ directory: here }), old: into({ directory: there }) };
    assertStringIncludes(await refusal(data, { destinations: two }), "destinations.db.cold writes");
  }));

test("a lifecycle's cold bucket or catalogue is another's however its address is written", () =>
  withTempDir(async (data) => {
    const env = { AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1" };
    const endpoint = "http://127.0.0.1:1/";
    const catalogue = { url: "http://127.0.0.1:1/iceberg" };
    const shared: [LakeChoice, IcebergOptions][] = [
      [{ url: "s3://lake/old", endpoint }, { url: "s3a://lake/old/", env }],
      [{ url: "s3://lake", endpoint: "https://s3.amazonaws.com" }, {
        url: "s3://lake/",
        endpoint: "https://s3.eu-west-1.amazonaws.com",
        env: {},
      }],
      [{ catalogue }, { catalogue: { url: "HTTP://127.0.0.1:1/iceberg/" } }],
      [{ catalogue }, { catalogue: { ...catalogue, namespace: "lakesync_default" } }],
    ];
    for (const [lake, cold] of shared) {
      const message = await refusal(data, { lake, destinations: { db: into(cold) } });
      assertStringIncludes(message, 'lake writes the log "default" there', JSON.stringify(cold));
    }
    // One namespace for two gateways is theirs together.
    const one = into({ catalogue: { ...catalogue, namespace: "old" } });
    const message = await refusal(data, { gateways: ["a", "b"], destinations: { one } });
    assertStringIncludes(message, 'destinations.one.cold writes the log "a" there');
  }));

test("lifecycles may share a directory with whom they share no log, and have one of their own", () =>
  withTempDir(async (data) => {
    const [directory, lake] = [join(data, "archive"), join(data, "lake")];
    const own = { db: into({ directory }), history: iceberg({ directory: join(data, "history") }) };
    assertEquals(await refusal(data, { destinations: own }), "destinations.db.hot: opened");
    const flows = [
      { from: "gateway", to: ["lake", "history"] },
      { from: "shop", to: ["db"] },
    ];
    for (const cold of [directory, lake]) {
      const destinations = { db: into({ directory: cold }), history: iceberg({ directory }) };
      assertEquals(await refusal(data, { destinations, flows }), "destinations.db.hot: opened");
      const both = [flows[0], { from: "shop", to: ["db", "history", "lake"] }];
      const message = await refusal(data, { destinations, flows: both });
      assertStringIncludes(message, 'writes the log "flow_shop" there');
    }
  }));
