import type { TableSchema } from "@lakesync/core";
import type { Changed } from "./_live_hub.ts";

/** The same where an app has loaded this package twice, as from two bundles. */
const KEY = Symbol.for("lakesync.inspected");

/** What is not public of a client, and what devtools cannot do without. */
export interface Inspected {
  /** The declared tables. */
  readonly schemas: readonly TableSchema[];
  /** Calls `changed` after each change of rows, and `closed` at the end; returns how to stop that. */
  readonly watch: (changed: (changed: Changed) => void, closed: () => void) => () => void;
}

/** Lets devtools inspect a client. */
export function showToDevtools(client: object, inspected: Inspected): void {
  Object.defineProperty(client, KEY, { value: inspected });
}

/** What a client lets devtools see; undefined where it is no such client. */
export function inspectedOf(client: object): Inspected | undefined {
  return (client as { [KEY]?: Inspected })[KEY];
}
