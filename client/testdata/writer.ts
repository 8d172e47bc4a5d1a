/**
 * A device for the kill test: it writes and syncs without end, and prints a line for each write that
 * was answered. Arguments: the database, the gateway's URL, where to start counting.
 */
import process from "node:process";
import { unwrapOrThrow } from "@lakesync/core";
import { createClient } from "../mod.ts";
import { todos } from "./bench.ts";

const [path, url, start] = process.argv.slice(2);
const client = unwrapOrThrow(
  await createClient({ tables: [todos], database: path!, url: url!, sync: { auto: true } }),
);
for (let i = Number(start);; i++) {
  const row = { title: `t${i}`, done: false };
  if (i % 10 === 0) {
    unwrapOrThrow(
      await client.transaction(async (tx) => {
        await tx.tables.todos.insert({ id: `${i}`, ...row });
        await tx.tables.todos.insert({ id: `${i}b`, ...row });
      }),
    );
  } else unwrapOrThrow(await client.tables.todos.insert({ id: `${i}`, ...row }));
  if (i % 3 === 0) unwrapOrThrow(await client.tables.todos.update(`${i}`, { rank: i }));
  process.stdout.write(`${i}\n`);
  // The sync has its turn.
  await new Promise((resolve) => setTimeout(resolve));
}
