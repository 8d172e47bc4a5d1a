import { LAKE_PLANTS } from "./lake_plants.ts";
import { type Plant, plant } from "./plant.ts";
import { RULE_PLANTS } from "./rules_plants.ts";

/** The bugs that the simulator has to find. */
export const PLANTS: readonly Plant[] = [
  {
    bug: "pulls go by HLC: what arrives late is passed over",
    edits: [
      {
        file: "gateway/page.ts",
        find: "  let bytes = 0;\n",
        replace: "  let bytes = 0;\n" +
          "  const edge = after.seq > 0 ? await store.read(after.seq - 1, { limit: 1 }) : ok([]);\n" +
          "  const floor = edge.ok && edge.value[0] !== undefined ? BigInt(parse(edge.value[0]).hlc) : 0n;\n",
      },
      {
        file: "gateway/page.ts",
        find: "      if (item === undefined) continue;\n",
        replace: "      if (item === undefined || BigInt(parse(entry).hlc) < floor) continue;\n",
      },
    ],
  },
  {
    bug: "a push is acknowledged when it is planned, before it is synced",
    edits: [
      {
        file: "gateway/push.ts",
        find: "  const appended = await store.append({\n",
        replace: "  const early = Promise.withResolvers<any>();\n" +
          "  const appended = await Promise.race([early.promise, store.append({\n",
      },
      {
        file: "gateway/push.ts",
        find: "      return plan;\n    },\n  });\n",
        replace: "      const seq = view.head.seq + plan.entries.length;\n" +
          "      early.resolve(ok({ head: { seq, hash: '' }, first: undefined }));\n" +
          "      return plan;\n    },\n  })]);\n",
      },
    ],
  },
  plant(
    "at equal stamps the lesser clientId wins a column",
    "core/merge.ts",
    "compareHlc(register[1], held[1]) || compareCodePoints(register[2], held[2])",
    "compareHlc(register[1], held[1]) || compareCodePoints(held[2], register[2])",
  ),
  plant(
    "no delta counts as a duplicate",
    "gateway/plan_push.ts",
    "view.duplicate(delta) !== undefined",
    "(view.duplicate(delta), false)",
  ),
  {
    bug: "the lake's versions are put without compare-and-set",
    edits: [
      {
        file: "adapters/iceberg/table.ts",
        find: "  let put = await store.put(key, bytes, { ifAbsent: true });",
        replace: "  let put = await store.put(key, bytes, {});",
      },
      {
        file: "adapters/iceberg/table.ts",
        find: "    put = await store.put(key, bytes, { ifAbsent: true });",
        replace: "    put = await store.put(key, bytes, {});",
      },
    ],
  },
  {
    bug: "a flush goes by the store's note, not by the watermark that is committed with the data",
    edits: [
      {
        file: "gateway/flush_plan.ts",
        find: "const has = from?.epoch === store.epoch ? from.seq : 0;",
        replace: "const has = run.flushedSeq;",
      },
      {
        file: "adapters/iceberg/_table_write.ts",
        find: "this.#after = part.from?.epoch === epoch ? part.from.seq : 0;",
        replace: "this.#after = part.from?.epoch === epoch ? 0 : 0;",
      },
    ],
  },
  plant(
    "a page is cut within a transaction",
    "gateway/page.ts",
    "through = entry.txLast;",
    "through = entry.seq;",
  ),
  plant(
    "a transaction's deltas are taken one by one",
    "gateway/plan_push.ts",
    "while (end < deltas.length && deltas[end]!.tx === tx) end++;",
    "void tx;",
  ),
  plant(
    "a push leaves the outbox though its answer never came",
    "client/_push_run.ts",
    "        // It may have arrived: the same push is repeated.\n",
    '        await database.transaction((tx) => tx.run("DELETE FROM lakesync_own WHERE state = 1"));\n',
  ),
  plant(
    "a column older than its row's life is kept",
    "core/merge.ts",
    "  if (state.life !== undefined && olderThanLife(register, state.life)) return false;\n",
    "",
  ),
  plant(
    "a new life leaves the old life's columns standing",
    "core/merge.ts",
    "    if (olderThanLife(register, life)) state.columns.delete(column);\n",
    "",
  ),
  plant(
    "a DELETE from the gateway leaves the row in the base",
    "client/_apply_page.ts",
    "      if (isDelta(item)) return mergeItem(base, item);\n" +
      "      base.get(item.table)?.set(item.rowId, undefined);\n",
    "      if (isDelta(item)) return mergeItem(base, item);\n",
  ),
  plant(
    "what was purged is forgotten: a late delta raises the dead",
    "gateway/plan_push.ts",
    "    view.purged !== undefined && compareStamps(item.delta, view.purged) <= 0 &&\n",
    "    view.purged === undefined && compareStamps(item.delta, item.delta) < 0 &&\n",
  ),
  plant(
    "a client's last push is forgotten with the trim",
    "gateway/store_memory.ts",
    "if (seenSeq <= seq && seenSeq < keptFrom)",
    "if (seenSeq <= seq && seenSeq < keptFrom + Infinity)",
  ),
  plant(
    "the high-water mark of stamps is not stored",
    "client/_write_session.ts",
    "    this.#state.hlc = this.#hlc.last;\n",
    "",
  ),
  plant(
    "a page is applied whatever cursor is held",
    "client/_apply_page.ts",
    "if (state.cursor !== options.cursor || state.due !== 0)",
    "if (state.due !== 0)",
  ),
  plant(
    "a checkpoint empties the outbox",
    "client/_apply_checkpoint.ts",
    "  observe(state, greatest);\n",
    '  observe(state, greatest);\n  await tx.run("DELETE FROM lakesync_own WHERE state < 3");\n',
  ),
  plant(
    "the log is trimmed ahead of its destination",
    "gateway/gateway.ts",
    "      destinations: destinations.value,\n",
    "      destinations: new Map(),\n",
  ),
  plant(
    "unsent deltas are stamped anew in the wrong order",
    "client/_restamp.ts",
    'WHERE state < 3 AND state = ? ORDER BY ord"',
    'WHERE state < 3 AND state = ? ORDER BY ord DESC"',
  ),
  plant(
    "an accepted delta is taken off the top before the base has it",
    "client/_settle.ts",
    "const reached = await whereReached(tx, state.seq);",
    "const reached = await whereReached(tx, 1_000_000);",
  ),
  plant(
    "a log restored from an older backup is not noticed",
    "gateway/cursor.ts",
    'if (stored.value !== hash) return cursorFault("hash");',
    "void hash;",
  ),
  plant(
    "after a reset nothing is sent up again",
    "client/_sync_run.ts",
    'new Set(["ahead", "hash", "epoch"])',
    'new Set(["ahead", "hash"])',
  ),
  plant(
    "a table that was not committed counts as written",
    "gateway/flush_lane.ts",
    'else if (outcome.status === "failed") run.failed.set(table, outcome.error);',
    'else if (outcome.status === "failed") run.progress.set(table, { mark: from, through: batch.to.seq });',
  ),
  plant(
    "a destination behind the first that fails is not tried again",
    "gateway/flush_lane.ts",
    "if (this.#pause !== undefined && !options.urgent) return undefined;",
    "if (this.#failure !== undefined) return undefined;",
  ),
  plant(
    "a destination that hangs is waited for",
    "gateway/flush_write.ts",
    "const result = await Promise.race([run(), stalled()]);",
    "const result = await Promise.race([run(), stalled().then(() => new Promise<Result<T>>(() => {}))]);",
  ),
  plant(
    "a flush that lost its commit goes on top of the winner's",
    "adapters/iceberg/_plan.ts",
    "version === undefined || !sameWatermark(watermark.value, part.from)",
    "version === undefined",
  ),
  plant(
    "files are removed though the commit that names them may have come through",
    "adapters/iceberg/destination.ts",
    '        case "unknown":\n',
    '        case "unknown":\n          await write.discard();\n',
  ),
  plant(
    "a row that comes back is sent as its INSERT alone",
    "gateway/page.ts",
    'if (is && (was || before === "none"))',
    'if (is && (was || before !== "alive"))',
  ),
  ...LAKE_PLANTS,
  ...RULE_PLANTS,
];
