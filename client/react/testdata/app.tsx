/** What the tests of the hooks share: devices with a gateway of their own, and React in the page. */
import { Component, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { type Client, createClient, type LiveQuery } from "../../mod.ts";
import {
  boolean,
  type Column,
  defineTable,
  type SqlRow,
  string,
  systemClock,
  type Table,
  unwrapOrThrow,
} from "@lakesync/core";
import { FakeGateway } from "@lakesync/testing";
import { openWasmSqlite } from "../../_wasm_open.ts";

export const todos: Table<"todos", {
  title: Column<string, string>;
  done: Column<boolean, boolean>;
}> = defineTable("todos", { title: string(), done: boolean() });

export type Tables = readonly [typeof todos];

let databases = 0;

/** Opens a device whose database is in this page. */
export async function openDevice(
  gateway: FakeGateway = newGateway(),
): Promise<Client<Tables>> {
  const { database } = unwrapOrThrow(
    await openWasmSqlite({ name: `react-${databases++}`, storage: "memory" }),
  );
  const options = { tables: [todos], database, transport: gateway } as const;
  return unwrapOrThrow(await createClient(options));
}

export function newGateway(): FakeGateway {
  return new FakeGateway({ tables: [todos.schema], clock: systemClock });
}

/** Adds todos with ids 0, 1, 2 …, each named as its id. */
export async function addTodos(client: Client<Tables>, count: number, from = 0): Promise<void> {
  const rows = Array.from({ length: count }, (_, i) => String(from + i))
    .map((id) => ({ id, title: id, done: false }));
  unwrapOrThrow(await client.tables.todos.insertMany(rows));
}

/** How often a client's live queries are subscribed to. */
export interface Subscriptions {
  /** Now. */
  now: number;
  /** Altogether. */
  all: number;
}

/** The same client, which counts. */
export function counting(client: Client<Tables>): [Client<Tables>, Subscriptions] {
  const count: Subscriptions = { now: 0, all: 0 };
  const counted = (live: LiveQuery<SqlRow>): LiveQuery<SqlRow> => ({
    get current() {
      return live.current;
    },
    subscribe(listener, options) {
      count.now++;
      count.all++;
      const stop = live.subscribe(listener, options);
      return () => {
        count.now--;
        stop();
      };
    },
    [Symbol.asyncIterator]: () => live[Symbol.asyncIterator](),
  });
  const proxy = new Proxy(client, {
    get(target, name) {
      if (name === "live") {
        return (sql: string, params?: []) => counted(target.live(sql, params));
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return [proxy, count];
}

/** A tree in the page. */
export interface Mounted {
  readonly element: HTMLElement;
  render(tree: ReactNode): void;
  unmount(): void;
}

/** Shows a tree in a new element of the page. */
export function mount(tree: ReactNode): Mounted {
  const element = document.createElement("div");
  document.body.append(element);
  // What an error boundary has caught is no fault of a test's.
  const root = createRoot(element, { onCaughtError: () => {} });
  root.render(tree);
  return {
    element,
    render: (tree) => root.render(tree),
    unmount() {
      root.unmount();
      element.remove();
    },
  };
}

/** Resolves when something is so, looked at in each frame; the test's own time limit ends it. */
export async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => requestAnimationFrame(resolve));
}

/** Resolves when an element has this text. */
export async function untilText(element: HTMLElement, text: string): Promise<void> {
  await until(() => element.textContent === text);
}

/** What React and others complain about meanwhile. */
export async function withConsole(
  use: (warned: (what: unknown) => void) => Promise<void>,
): Promise<string[]> {
  const warnings: string[] = [];
  const { error, warn } = console;
  console.error = console.warn = (...args: unknown[]) => warnings.push(args.join(" "));
  try {
    await use((what) => warnings.push(String(what)));
  } finally {
    Object.assign(console, { error, warn });
  }
  return warnings;
}

/** Shows an error's name, code and message, and a button that tries again. */
export class Boundary extends Component<{ children: ReactNode }, { error?: unknown }> {
  override state: { error?: unknown } = {};

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    const { name, code } = error as { name: string; code?: string };
    return (
      <button type="button" onClick={() => this.setState({ error: undefined })}>
        {name} {code}
      </button>
    );
  }
}
