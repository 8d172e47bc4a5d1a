import {
  type Context,
  createContext,
  type ReactNode,
  use,
  useContext,
  useEffect,
  useState,
} from "react";
import type { Table } from "@lakesync/core";
import type { Client } from "../client.ts";
import type { ClientOptions } from "../create_client.ts";
import { type AnyOptions, keyOf, openingOf } from "./_opening.ts";
import { serverClient } from "./_server_client.ts";

const ClientContext: Context<Client | undefined> = createContext<Client | undefined>(undefined);

/** Properties of {@linkcode LakeSyncProvider}: a client that is open, or what to open one with. */
export type LakeSyncProviderProps<Tables extends readonly Table[] = readonly Table[]> =
  & {
    /** What has the client. */
    readonly children?: ReactNode;
  }
  & ({
    /** A client that is open, and that whoever opened it closes. */
    readonly client: Client<Tables>;
    readonly options?: never;
  } | {
    /**
     * What `createClient` takes. The client is opened with the first provider of a database and
     * closed with the last one; other values than `database` count when it is opened. For
     * `":memory:"` it has to be the same object at each render. After `client.wipe()` a provider that
     * is mounted anew, such as by another `key`, opens another client.
     */
    readonly options: ClientOptions<Tables>;
    readonly client?: never;
  });

/**
 * Gives the components in it a client. With `options` it opens one: `<Suspense>` shows what it shows
 * meanwhile, and the nearest error boundary the `LakeSyncError` where that fails; when that boundary is
 * reset the provider tries again. On a server, where there is no `document`, it opens nothing: queries
 * have their `initial` rows, and what a server renders so is what a browser begins with.
 *
 * @param props The client or the options, and the children.
 * @returns The children.
 *
 * @example On a server nothing is opened
 * ```ts
 * import { LakeSyncProvider, useQuery } from "@lakesync/client/react";
 * import { defineTable, string } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createElement } from "react";
 * import { renderToString } from "react-dom/server";
 *
 * const tables = [defineTable("todos", { title: string() })];
 * function Todos() {
 *   const { rows } = useQuery("SELECT title FROM todos");
 *   return createElement("p", null, `${rows.length} todos`);
 * }
 * const page = createElement(
 *   LakeSyncProvider,
 *   { options: { tables, database: "app" } },
 *   createElement(Todos),
 * );
 * assertEquals(renderToString(page), "<p>0 todos</p>");
 * ```
 */
export function LakeSyncProvider<const Tables extends readonly Table[]>(
  { client, options, children }: LakeSyncProviderProps<Tables>,
): ReactNode {
  if (client !== undefined) {
    // A client of certain tables; `useLakeSync` is told which.
    return <ClientContext value={client as unknown as Client}>{children}</ClientContext>;
  }
  // Always the same on one machine.
  const Provider = typeof document === "undefined" ? ServerProvider : OpeningProvider;
  return <Provider options={options}>{children}</Provider>;
}

interface OptionsProps {
  readonly options: AnyOptions;
  readonly children: ReactNode;
}

function OpeningProvider({ options, children }: OptionsProps): ReactNode {
  const key = keyOf(options);
  const [held, setHeld] = useState(() => ({ key, opening: openingOf(options) }));
  const opening = held.key === key ? held.opening : openingOf(options);
  const client = use(opening.client);
  useEffect(() => {
    const isHeld = held.opening === opening;
    // React may have kept the tree hidden for a while, and nobody had it then.
    if (!isHeld || opening.ended) setHeld({ key, opening: openingOf(options) });
    return opening.hold();
  }, [opening]);
  return <ClientContext value={client}>{children}</ClientContext>;
}

function ServerProvider({ options, children }: OptionsProps): ReactNode {
  const [client] = useState(() => serverClient(options.tables));
  return <ClientContext value={client}>{children}</ClientContext>;
}

/**
 * The client that the nearest {@linkcode LakeSyncProvider} gives.
 *
 * @typeParam Tables The declared tables; not checked.
 * @returns The client.
 * @throws {TypeError} Where there is no provider.
 *
 * @example A button that adds a row
 * ```ts
 * import { createClient } from "@lakesync/client";
 * import { LakeSyncProvider, useLakeSync } from "@lakesync/client/react";
 * import { defineTable, string, unwrapOrThrow } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 * import { createElement } from "react";
 * import { renderToString } from "react-dom/server";
 *
 * const tables = [defineTable("todos", { title: string() })] as const;
 * const client = unwrapOrThrow(await createClient({ tables, database: ":memory:" }));
 *
 * function Add() {
 *   const { todos } = useLakeSync<typeof tables>().tables;
 *   const onClick = () => void todos.insert({ title: "Buy milk" });
 *   return createElement("button", { onClick }, "Add");
 * }
 * const page = createElement(LakeSyncProvider, { client }, createElement(Add));
 * assertEquals(renderToString(page), "<button>Add</button>");
 * await client.close();
 * ```
 */
export function useLakeSync<Tables extends readonly Table[] = readonly Table[]>(): Client<Tables> {
  const client = useContext(ClientContext);
  if (client === undefined) {
    throw new TypeError("Cannot find a LakeSync client: put <LakeSyncProvider> around this");
  }
  return client as unknown as Client<Tables>;
}
