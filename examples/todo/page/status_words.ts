/** What the client's status says in a few words, and in a sentence with the next step. */
import type { BlockedReason, ClientStatus } from "@lakesync/client";

/** How the status looks. */
export interface StatusWords {
  readonly tone: "good" | "busy" | "away" | "bad";
  /** A few words. */
  readonly short: string;
  /** A sentence. */
  readonly long: string;
}

const BLOCKED: Readonly<Record<BlockedReason, string>> = {
  schema: "The server does not know this app's tables yet. Changes wait on this device.",
  token: "The server does not take the sign-in any more. Changes wait here; ask whoever runs it.",
  access: "The server does not let you use these lists. Ask whoever runs it.",
  gateway: "What answers at this address is not a server for this app. Ask whoever runs it.",
  database: "The data on this device is damaged. Sign out and in again to load it anew.",
};

/** The words for a status. */
export function statusWords(status: ClientStatus): StatusWords {
  const { state, online, outbox, behind, blocked, firstSync } = status;
  const waiting = outbox === 0 ? "" : ` · ${outbox} to send`;
  const changes = outbox === 1 ? "One change waits" : `${outbox} changes wait`;
  if (blocked !== undefined) {
    return { tone: "bad", short: `Blocked${waiting}`, long: BLOCKED[blocked] };
  }
  if (online === false) {
    const long = outbox === 0
      ? "There is no network, or the server is away. Everything works; changes are kept on this device."
      : `There is no network, or the server is away. ${changes} on this device and will be sent when it is back.`;
    return { tone: "away", short: `Offline${waiting}`, long };
  }
  if (firstSync !== undefined) {
    const { percent, rows } = firstSync;
    const far = percent === undefined ? `${rows} rows` : `${Math.round(percent)} %`;
    return {
      tone: "busy",
      short: `Loading · ${far}`,
      long: "This device gets its data for the first time.",
    };
  }
  if (state === "paused") {
    return { tone: "away", short: `Paused${waiting}`, long: "Sync is paused on this device." };
  }
  if (behind !== undefined && behind > 0) {
    const short = `${behind} behind`;
    return { tone: "busy", short, long: `${behind} changes of others are still to come.` };
  }
  if (outbox > 0) {
    return {
      tone: "busy",
      short: `Sending ${outbox}`,
      long: `${changes} for the server's answer.`,
    };
  }
  if (online === undefined) {
    return { tone: "busy", short: "Connecting", long: "The device looks for the server." };
  }
  return { tone: "good", short: "Synced", long: "This device and the server have the same data." };
}
