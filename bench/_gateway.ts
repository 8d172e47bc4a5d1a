import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Destination, unwrapOrThrow } from "@lakesync/core";
import { createGateway, type Gateway, openSqliteLogStore } from "@lakesync/gateway";
import { type PushBody, todos } from "./_workload.ts";

/** Opens a gateway over a SQLite log. */
export async function openGateway(
  path: string,
  destinations: readonly Destination[] = [],
): Promise<Gateway> {
  mkdirSync(dirname(path), { recursive: true });
  const store = unwrapOrThrow(await openSqliteLogStore({ path }));
  return unwrapOrThrow(
    await createGateway({ id: "default", store, tables: [todos.schema], destinations }),
  );
}

/** Pushes bodies one after the other; throws unless all of their deltas are accepted. */
export async function pushAll(gateway: Gateway, bodies: Iterable<PushBody>): Promise<void> {
  for (const body of bodies) {
    const { accepted } = unwrapOrThrow(await gateway.push(body, { sub: undefined }));
    if (accepted !== body.deltas.length) {
      throw new Error(`Only ${accepted} of ${body.deltas.length} deltas were accepted`);
    }
  }
}

/** Fills a new log and closes it. */
export async function fillLog(path: string, ...bodies: Iterable<PushBody>[]): Promise<void> {
  const gateway = await openGateway(path);
  for (const part of bodies) await pushAll(gateway, part);
  await gateway.close();
}
