import {
  type Delta,
  emptyRow,
  type FlushBatch,
  mergeDelta,
  type SqlBatch,
  type SqlServer,
  unwrapOrThrow,
} from "@lakesync/core";
import { logHash, readMarks } from "./_insert.ts";
import { parseStateText, stateText } from "./_state_text.ts";
import { rowKey } from "./_tables.ts";

/** What a database needs that takes batches in by means of its own. */
export function batchFor(server: SqlServer, batch: FlushBatch): SqlBatch {
  return {
    batch,
    async watermarks(tables) {
      const marks = unwrapOrThrow(
        await server.transaction((work) => readMarks(work, { server, tables, lock: false })),
      );
      return new Map(Array.from(marks, ([table, { watermark }]) => [table, watermark]));
    },
    logHash: logHash(batch.to),
    key: ({ table, rowId }) => rowKey(table, rowId),
    merging({ table, rowId }, text) {
      const state = text === undefined ? emptyRow() : parseStateText(text, table).state;
      return {
        merge: (delta: Delta) => {
          mergeDelta(state, delta);
        },
        text: () => stateText({ rowId, state }),
      };
    },
  };
}
