/**
 * A gateway without authentication, as `deno task serve` starts it, need not know this app: everybody is
 * an admin there, so the page brings its tables along. One that asks for tokens is left alone.
 */
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { rules } from "../rules.ts";
import { tables } from "../tables.ts";

const NO_SIGN_IN =
  "This server asks for tokens and has no sign-in of its own: start the app with deno task example:todo";

interface Declared {
  readonly tables: readonly { readonly table: string }[];
}

/**
 * Adds the app's tables, and its rules where the gateway had neither tables nor rules.
 *
 * @returns `UNAUTHENTICATED` where the gateway asks for tokens, which nobody here signs.
 */
export async function prepareGateway(gateway: string): Promise<Result<void>> {
  const admin = `/v1/admin/${encodeURIComponent(gateway)}`;
  try {
    const response = await fetch(`${admin}/schema`);
    if (response.status === 401) return err(new LakeSyncError("UNAUTHENTICATED", NO_SIGN_IN));
    if (!response.ok) return ok(undefined);
    const { tables: there } = await response.json() as Declared;
    const missing = tables.filter(({ name }) => !there.some(({ table }) => table === name));
    if (missing.length === 0) return ok(undefined);
    const schemas = [...there, ...missing.map(({ schema }) => schema)];
    await put(`${admin}/schema`, { tables: schemas });
    if (there.length > 0) return ok(undefined);
    if (await (await fetch(`${admin}/rules`)).json() === null) await put(`${admin}/rules`, rules);
  } catch {
    // Offline. What is missing then shows in the client's status.
  }
  return ok(undefined);
}

async function put(url: string, body: unknown): Promise<void> {
  await fetch(url, { method: "PUT", body: JSON.stringify(body) });
}
