/** The floor of a push over HTTP: reads a body, parses it, answers a small JSON. */
import { unwrapOrThrow } from "@lakesync/core";
import { listen } from "@lakesync/deploy";

const listener = unwrapOrThrow(
  await listen(async (request) => {
    const { deltas } = await request.json() as { deltas: unknown[] };
    return Response.json({ accepted: deltas.length, duplicates: 0, rejected: [], seq: 1 });
  }),
);
console.log(JSON.stringify({ url: listener.url }));
