import { err, LakeSyncError, ok, type Result } from "@lakesync/core";

/**
 * The key of an object that a table's metadata names by its URL. A table that was moved as a whole
 * keeps its old URLs, so they are taken as relative to its own location.
 */
export function keyOf(
  url: string,
  { table, location }: { table: string; location: string },
): Result<string> {
  if (url.startsWith(`${location}/`)) return ok(`${table}${url.slice(location.length)}`);
  return err(
    new LakeSyncError(
      "CONFLICT",
      `Cannot read "${url}": it lies outside of its table's location "${location}", bring it there`,
    ),
  );
}
