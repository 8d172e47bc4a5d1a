// What the tests of rules share: a gateway with rules behind its handler, and every way out of it.
import {
  type CheckpointRow,
  type Clock,
  decodePullAnswer,
  type JsonValue,
  type PageItem,
  PROTOBUF_TYPE,
  type PullAnswer,
  type PushAnswer,
  type Rules,
  type Scheduler,
  systemClock,
  type TableSchema,
  unwrapOrThrow,
} from "@lakesync/core";
import { makeDelta } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { createAuth } from "../auth.ts";
import { signToken } from "../auth_sign.ts";
import { createGateway, type Gateway } from "../gateway.ts";
import type { GatewayOptions } from "../gateway_options.ts";
import { createHandler, type Handler } from "../http.ts";
import { memoryLogStore } from "../store_memory.ts";

/** A table whose rows rules look at, and one in which memberships stand. */
export const TASKS: TableSchema = {
  table: "tasks",
  version: 1,
  columns: [
    { name: "title", type: "string", nullable: true },
    { name: "owner", type: "string", nullable: true },
    { name: "rank", type: "integer", nullable: true },
    { name: "project", type: "string", nullable: true },
  ],
};
export const MEMBERS: TableSchema = {
  table: "members",
  version: 1,
  columns: [{ name: "user", type: "string" }, { name: "project", type: "string" }],
};

/** The secret of these tests' tokens. */
export const SECRET = "the secret of these tests, of more than 32 bytes";

/** Rules by which everybody may write everything that is there. */
export const WRITE_ALL: Rules["write"] & object = [
  { name: "write all", tables: ["tasks", "members"], filters: [] },
];

/** Columns and their values. */
export type Values = { readonly [column: string]: JsonValue };

/** Who asks: its subject and what else its token says. */
export interface Who {
  readonly sub: string;
  readonly [claim: string]: JsonValue;
}

/** A gateway behind its handler. */
export interface RuledGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly handler: Handler;
  /** Sends a request as somebody. */
  ask(who: Who, path: string, init?: RequestInit): Promise<Response>;
  /** Pushes as somebody, and expects the push as a whole to be answered. */
  push(who: Who, deltas: readonly unknown[]): Promise<PushAnswer>;
  /** A page. */
  pull(who: Who, params?: { readonly [name: string]: string }): Promise<PullAnswer>;
  /** A checkpoint's cursor and rows. */
  checkpoint(who: Who): Promise<{ cursor: string; rows: CheckpointRow[] }>;
}

/** Opens a gateway with rules. */
export async function openRuled(
  rules: Rules | undefined,
  options: Partial<GatewayOptions> & { clock?: Clock & Scheduler } = {},
): Promise<RuledGateway> {
  const { clock, ...rest } = options;
  const gateway = unwrapOrThrow(
    await createGateway({
      id: "default",
      store: memoryLogStore(clock === undefined ? {} : { clock }),
      tables: [TASKS, MEMBERS],
      ...(rules !== undefined && { rules }),
      ...(clock !== undefined && { scheduler: clock }),
      ...rest,
    }),
  );
  const handler = createHandler({
    gateways: [gateway],
    auth: createAuth({ secrets: [SECRET], ...(clock !== undefined && { clock }) }),
    ...(clock !== undefined && { clock, scheduler: clock }),
  });
  const ask = async (who: Who, path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${await tokenFor(who, clock)}`);
    return await handler.fetch(new Request(`http://gateway/v1/${path}`, { ...init, headers }));
  };
  const clientOf = (who: Who) => ({ clientId: encodeURIComponent(who.sub) });
  return {
    gateway,
    handler,
    ask,
    async push(who, deltas) {
      const body = JSON.stringify({ ...clientOf(who), deltas });
      const response = await ask(who, "sync/default/push", { method: "POST", body });
      const answer = await response.json();
      assertEquals(response.status, 200, JSON.stringify(answer));
      return answer as PushAnswer;
    },
    async pull(who, params = {}) {
      const query = new URLSearchParams({ ...clientOf(who), ...params });
      const response = await ask(who, `sync/default/pull?${query}`);
      const page = await response.json();
      assertEquals(response.status, 200, JSON.stringify(page));
      return page as PullAnswer;
    },
    async checkpoint(who) {
      const query = new URLSearchParams(clientOf(who));
      const response = await ask(who, `sync/default/checkpoint?${query}`);
      const [header, ...lines] = (await response.text()).trimEnd().split("\n")
        .map((line) => JSON.parse(line));
      assertEquals(lines.pop(), { end: { rows: lines.length } });
      return { cursor: header.checkpoint.cursor, rows: lines };
    },
    async [Symbol.asyncDispose]() {
      await handler.drain();
      await gateway.close();
    },
  };
}

/** A token for somebody. */
export function tokenFor(who: Who, clock: Clock = systemClock): Promise<string> {
  return signToken({ gw: "default", ...who }, { secret: SECRET, clock });
}

let counter = 0;

/** A delta of a task; each one's stamp is above those of all before it. */
export function task(
  op: "INSERT" | "UPDATE" | "DELETE",
  rowId: string,
  values: Values = {},
  options: { by?: string; txId?: string; table?: string } = {},
): ReturnType<typeof makeDelta> {
  const { by = "admin", txId, table = "tasks" } = options;
  return makeDelta({
    op,
    table,
    rowId,
    clientId: encodeURIComponent(by),
    hlc: String(++counter),
    columns: Object.entries(values).map(([column, value]) => ({ column, value })),
    ...(txId !== undefined && { txId }),
  });
}

/** A way by which items leave the gateway: everything from a cursor to the head. */
export type WayOut = (
  ruled: RuledGateway,
  who: Who,
  options: { cursor: string; own?: boolean },
) => Promise<PageItem[]>;

/** All ways out but the checkpoint, which has no items. */
export const WAYS_OUT: { readonly [name: string]: WayOut } = {
  "a pull": (ruled, who, options) => pullAll(ruled, who, { ...options, limit: "5" }),
  "a pull that may wait": (ruled, who, options) => pullAll(ruled, who, { ...options, wait: "60" }),
  "a pull as protobuf": async (ruled, who, options) => {
    const query = queryOf(who, options);
    const headers = { accept: PROTOBUF_TYPE };
    const response = await ruled.ask(who, `sync/default/pull?${query}`, { headers });
    return [...unwrapOrThrow(decodePullAnswer(await response.bytes())).deltas];
  },
  "a stream of events": async (ruled, who, options) => {
    const response = await ruled.ask(who, `sync/default/live?${queryOf(who, options)}`);
    assertEquals(response.status, 200);
    const items: PageItem[] = [];
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const head = unwrapOrThrow(await ruled.gateway.store.head()).seq;
    for (let text = "", seq = -1; seq < head;) {
      const { value, done } = await reader.read();
      assert(!done);
      text += value;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
        if (data === undefined) continue;
        const page = JSON.parse(data) as PullAnswer;
        items.push(...page.deltas);
        seq = page.seq as number;
      }
    }
    await reader.cancel();
    return items;
  },
  "a WebSocket": async (ruled, who, { cursor, own }) => {
    const socket = await openSocket(ruled, await tokenFor(who));
    const clientId = encodeURIComponent(who.sub);
    socket.send({ type: "pull", clientId, cursor, ...(own === true && { own: "ids" }) });
    const items: PageItem[] = [];
    const head = unwrapOrThrow(await ruled.gateway.store.head()).seq;
    for (let seq = -1; seq < head;) {
      const page = await socket.next() as unknown as PullAnswer;
      items.push(...page.deltas);
      seq = page.seq as number;
    }
    socket.close();
    return items;
  },
};

async function pullAll(
  ruled: RuledGateway,
  who: Who,
  options: { cursor: string; own?: boolean; limit?: string; wait?: string },
): Promise<PageItem[]> {
  const { own, ...params } = options;
  const items: PageItem[] = [];
  for (let cursor = options.cursor;;) {
    const page = await ruled.pull(who, { ...params, cursor, ...(own === true && { own: "ids" }) });
    items.push(...page.deltas);
    cursor = page.cursor;
    if (!page.hasMore) return items;
  }
}

function queryOf(who: Who, { cursor, own }: { cursor: string; own?: boolean }): URLSearchParams {
  const clientId = encodeURIComponent(who.sub);
  return new URLSearchParams({ clientId, cursor, ...(own === true && { own: "ids" }) });
}

/** A WebSocket without a network. */
export interface FakeSocket {
  send(message: object): void;
  /** The next message; undefined once the gateway has closed it. */
  next(): Promise<{ readonly [field: string]: JsonValue } | undefined>;
  /** The code that the gateway closed it with. */
  readonly closedWith: number | undefined;
  close(): void;
}

/** Opens a WebSocket by the subprotocol that carries a token. */
export async function openSocket(
  { handler }: Pick<RuledGateway, "handler">,
  token: string,
): Promise<FakeSocket> {
  const granted = await handler.upgrade(
    new Request("http://gateway/v1/sync/default/ws", {
      headers: {
        upgrade: "websocket",
        "sec-websocket-key": "x",
        "sec-websocket-protocol": `lakesync.v1, bearer.${token}`,
      },
    }),
  );
  if (granted instanceof Response) throw new TypeError(await granted.text());
  assertEquals(granted.protocol, "lakesync.v1");
  const received: string[] = [];
  let closedWith: number | undefined;
  let heard = Promise.withResolvers<void>();
  const hear = () => {
    heard.resolve();
    heard = Promise.withResolvers<void>();
  };
  const connection = granted.open({
    send(frame) {
      received.push(frame as string);
      hear();
    },
    bufferedAmount: 0,
    close(code) {
      closedWith = code;
      hear();
    },
    terminate() {},
  });
  return {
    send: (message) => connection.receive(JSON.stringify(message)),
    async next() {
      for (;;) {
        const frame = received.shift();
        if (frame !== undefined) return JSON.parse(frame);
        if (closedWith !== undefined) return undefined;
        await heard.promise;
      }
    },
    get closedWith() {
      return closedWith;
    },
    close: () => connection.closed(),
  };
}
