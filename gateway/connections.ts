import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import type { GatewayService } from "./service.ts";

/** Counts the connections that stay: streams and WebSockets, for each gateway apart. */
export class Connections {
  readonly #open: Map<GatewayService, number> = new Map();

  /** How many of a gateway are open. */
  count(gateway: GatewayService): number {
    return this.#open.get(gateway) ?? 0;
  }

  /**
   * A connection begins.
   *
   * @param gateway Whose it is.
   * @returns What to call once it has ended; `BACKPRESSURE` where the gateway has enough.
   */
  open(gateway: GatewayService): Result<() => void> {
    const open = this.#open.get(gateway) ?? 0;
    if (open >= gateway.limits.connections) {
      const message = "The gateway has as many open connections as it takes: try again in a moment";
      return err(new LakeSyncError("BACKPRESSURE", message));
    }
    this.#open.set(gateway, open + 1);
    let ended = false;
    return ok(() => {
      if (ended) return;
      ended = true;
      this.#open.set(gateway, this.#open.get(gateway)! - 1);
    });
  }
}
