import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { withTempDir } from "@lakesync/testing";
import { type AnalystSubject, type PlaceFile, TestLake } from "./subject.ts";
import { openAnalyst } from "../mod.ts";

/** DuckDB in this process, over files in a directory. */
export const NATIVE: AnalystSubject = {
  withLake: (use) => withTempDir((directory) => use(new TestLake(placeIn(directory)))),
  open: ({ keptBytes, ...options }) =>
    openAnalyst({
      threads: 1,
      ...options,
      ...(keptBytes !== undefined && { copyBytes: keptBytes }),
    }),
  endless: "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c " +
    "WHERE a.range + b.range * c.range = -1",
};

/** Puts files into a directory. */
export function placeIn(directory: string): PlaceFile {
  return async (name, bytes) => {
    const path = join(directory, name);
    await writeFile(path, bytes);
    return pathToFileURL(path).href;
  };
}
