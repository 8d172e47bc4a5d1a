import { systemClock, systemScheduler } from "@lakesync/core";
import { inspect, type InspectedClient } from "../inspect.ts";
import { Dock } from "./_dock.ts";
import { Session } from "./_session.ts";
import { sheet } from "./_styles.ts";

/**
 * A class to extend also where there is no document, so that an app can be rendered on a server.
 *
 * @example On a server
 * ```ts
 * import { ElementBase } from "@lakesync/client/devtools";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(typeof ElementBase, "function");
 * ```
 */
export const ElementBase: typeof HTMLElement = globalThis.HTMLElement ??
  class {} as unknown as typeof HTMLElement;

/**
 * `<lakesync-devtools>`: shows what is in a client and what it does. It docks at the bottom of the page;
 * closed, it is a button in the corner. It shows nothing until it is given a client, and lets go of it when
 * it is taken out of the page. Importing it defines the element, where there are elements.
 *
 * Attributes: `open` (whether it is open), `theme` (`light` or `dark`; else as the system says).
 *
 * @example Put it into a page
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { LakeSyncDevtools } from "@lakesync/client/devtools";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const notes = defineTable("notes", { text: string() });
 * const client = unwrapOrThrow(await createClient({ tables: [notes], database: ":memory:" }));
 * const devtools = new LakeSyncDevtools();
 * devtools.client = client;
 * globalThis.document?.body.append(devtools);
 * assertEquals(devtools.client.clientId, client.clientId);
 * await client.close();
 * ```
 */
export class LakeSyncDevtools extends ElementBase {
  /** The element's name in documents. */
  static readonly tagName: string = "lakesync-devtools";
  /** The attributes that it follows. */
  static readonly observedAttributes: readonly string[] = ["open"];
  #client: InspectedClient | undefined;
  #session: Session | undefined;
  #dock: Dock | undefined;

  /** The client that it shows. */
  get client(): InspectedClient | undefined {
    return this.#client;
  }

  /** @param client The client to show from now on; undefined for none. */
  set client(client: InspectedClient | undefined) {
    if (client === this.#client) return;
    this.#client = client;
    if (!this.isConnected) return;
    this.#end();
    this.#begin();
  }

  /** Whether it is open. */
  get open(): boolean {
    return this.hasAttribute("open");
  }

  /** @param open Whether it is to be open. */
  set open(open: boolean) {
    this.toggleAttribute("open", open);
  }

  /** Called by the browser when it is put into a document. */
  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet()];
    // Set before this module was there, which left it on the element as it was then.
    if (Object.hasOwn(this, "client")) {
      const { client } = this;
      Reflect.deleteProperty(this, "client");
      this.#client = client;
    }
    this.#begin();
  }

  /** Called by the browser when it is taken out: it lets go of the client. */
  disconnectedCallback(): void {
    this.#end();
  }

  /** Called by the browser when an attribute has changed. */
  attributeChangedCallback(): void {
    this.#dock?.opened(this.open);
    this.#session?.opened(this.open);
  }

  #begin(): void {
    if (this.#client === undefined || this.shadowRoot === null) return;
    const client = this.#client;
    const dock = new Dock({ client, asked: (open) => this.open = open });
    this.#dock = dock;
    this.#session = new Session({
      client,
      inspection: inspect(client),
      dock,
      clock: systemClock,
      scheduler: systemScheduler,
    });
    this.shadowRoot.replaceChildren(dock.element);
    this.attributeChangedCallback();
  }

  #end(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#dock = undefined;
    this.shadowRoot?.replaceChildren();
  }
}

if (globalThis.customElements?.get(LakeSyncDevtools.tagName) === undefined) {
  globalThis.customElements?.define(LakeSyncDevtools.tagName, LakeSyncDevtools);
}
