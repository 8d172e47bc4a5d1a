import type { ReactNode } from "react";
import { useLakeSync, useSyncStatus } from "@lakesync/client/react";
import type { ClientStatus } from "@lakesync/client";

/** What sync is doing, in words; pressed, it takes the device offline and back. */
export function SyncSwitch(): ReactNode {
  const client = useLakeSync();
  const status = useSyncStatus();
  const paused = status.state === "paused";
  const [kind, words] = wordsOf(status);
  return (
    <div className="sync">
      <span className={`dot ${kind}`} aria-hidden="true" />
      <span role="status" title={status.error?.message}>{words}</span>
      <button
        type="button"
        className={paused ? "on" : ""}
        onClick={() => paused ? client.resume() : client.pause()}
      >
        {paused ? "Go online" : "Go offline"}
      </button>
    </div>
  );
}

function wordsOf({ state, online, outbox, firstSync, blocked }: ClientStatus): [string, string] {
  const waiting = outbox === 0 ? "" : ` · ${outbox} to send`;
  if (blocked !== undefined) return ["bad", `Needs attention${waiting}`];
  if (state === "paused") return ["off", `Offline${waiting}`];
  if (firstSync !== undefined) return ["busy", `${firstSync.rows} rows so far`];
  if (online === false) return ["off", `No connection${waiting}`];
  return outbox > 0 ? ["busy", `Sending ${outbox}`] : ["good", "Up to date"];
}
