import {
  decodeClientFrame,
  decodeGatewayFrame,
  type PushRequest,
  unwrapOrThrow,
  type WsClientMessage,
  type WsGatewayMessage,
} from "@lakesync/core";
import type { OpenSocket } from "@lakesync/client";
import type { WsConnection, WsSocket } from "@lakesync/gateway";
import type { Device } from "./device.ts";
import type { Instance } from "./instance.ts";
import type { Network, NetworkOptions } from "./network.ts";
import type { SimProcess } from "./process.ts";
import type { Arrived } from "./push_watch.ts";
import type { Seen } from "./rules_watch.ts";

type Frame = string | Uint8Array;
type Listener = Parameters<OpenSocket>[1]["listener"];

/** Who opens a socket. */
export interface SocketEnds {
  readonly device: Device;
  readonly process: SimProcess;
  readonly listener: Listener;
}

/** Opens the WebSockets of a device's process, through a network. */
export function socketsOf(
  network: Network,
  { device, process }: Omit<SocketEnds, "listener">,
): OpenSocket {
  return (url, { protocols, listener }) => {
    const instance = network.pick(device.index);
    const socket = new SimSocket(network, { device, process, listener }, instance);
    socket.open(url, protocols);
    return { send: (data) => socket.sendUp(data), close: () => socket.closeByDevice() };
  };
}

/**
 * A WebSocket. Its messages come in order and none twice, but late; it may be cut at any of them, so
 * that both ends hear of it, or one, or neither: then it is half-open, and nothing passes any more.
 */
class SimSocket {
  readonly #network: Network;
  readonly #options: NetworkOptions;
  readonly #ends: SocketEnds;
  readonly #instance: Instance;
  #far: SimProcess | undefined;
  #connection: WsConnection | undefined;
  #isClosed = false;
  #isSilent = false;
  #isUsed = false;
  #waiting = 0;
  /** When the last message of each direction arrives. */
  #lastUp = 0;
  #lastDown = 0;
  /** What is under way: whichever timer is first, who was first asked for goes first. */
  readonly #goingUp: (() => void)[] = [];
  readonly #goingDown: (() => void)[] = [];
  #seen: Seen | undefined;
  #stream: { readonly seen: Seen; cursor: string } | undefined;
  readonly #pushes = new Map<unknown, Arrived>();

  constructor(network: Network, ends: SocketEnds, instance: Instance) {
    this.#network = network;
    this.#options = network.options;
    this.#ends = ends;
    this.#instance = instance;
  }

  /** The device asks for it. */
  open(url: string, protocols: readonly string[]): void {
    const { trace, rules } = this.#options;
    const { device } = this.#ends;
    trace.note(device.name, `opens a socket to ${this.#instance.name}`);
    this.#up(() => {
      const { process, clock } = this.#instance;
      if (process === undefined) return this.#tellDevice(1006);
      this.#far = process;
      process.onKill(() => this.#tellDevice(1006));
      const token = protocols.find((name) => name.startsWith("bearer."))?.slice("bearer.".length);
      const seen = rules.arrived({ token, query: new URLSearchParams() }, { process, clock });
      this.#seen = seen;
      trace.note(this.#instance.name, `gets a socket of ${device.name}`);
      void this.#instance.upgrade(url.replace(/^ws/, "http"), protocols).then((upgrade) => {
        if (!process.alive) return;
        const isRefused = upgrade instanceof Response;
        rules.answered(seen, isRefused ? upgrade.status : 101);
        if (isRefused) return this.#tellDevice(1006);
        if (this.#isClosed) return upgrade.abandon();
        trace.count("socket");
        this.#ends.process.onKill(() => this.#tellGateway());
        this.#connection = upgrade.open(this.#gatewayEnd());
        this.#down(() => this.#ends.listener.opened());
      });
    });
  }

  /** The device sends a frame. */
  sendUp(frame: Frame): void {
    if (this.#isClosed) return;
    const message = typeof frame === "string"
      ? JSON.parse(frame) as WsClientMessage
      : unwrapOrThrow(decodeClientFrame(frame)) as unknown as WsClientMessage;
    this.#options.trace.note(
      this.#ends.device.name,
      `says ${message.type}`,
      JSON.stringify(message),
    );
    this.#up(() => {
      this.#heard(message);
      this.#connection?.receive(frame);
    });
  }

  /** The device gives it up. */
  closeByDevice(): void {
    this.#isClosed = true;
    this.#tellGateway();
  }

  #gatewayEnd(): WsSocket {
    const waiting = () => this.#waiting;
    return {
      send: (frame) => {
        if (this.#far?.alive !== true) return;
        const message = typeof frame === "string"
          ? JSON.parse(frame) as WsGatewayMessage
          : unwrapOrThrow(decodeGatewayFrame(frame as Uint8Array<ArrayBuffer>));
        const { trace } = this.#options;
        trace.note(
          this.#instance.name,
          `tells ${this.#ends.device.name} ${message.type}`,
          JSON.stringify(message),
        );
        this.#told(message);
        this.#waiting += frame.length;
        this.#down(() => {
          this.#waiting -= frame.length;
          if (!this.#isClosed) this.#ends.listener.received(frame);
        });
      },
      get bufferedAmount() {
        return waiting();
      },
      close: (code) => {
        this.#tellDevice(code);
        this.#tellGateway();
      },
      terminate: () => {
        this.#tellDevice(1006);
        this.#tellGateway();
      },
    };
  }

  /** What the watches have to know of what comes to the gateway. */
  #heard(message: WsClientMessage): void {
    const { rules, pushes, trace } = this.#options;
    if (message.type === "ping") return;
    const { process, clock } = this.#instance;
    if (process === undefined || process !== this.#far) return;
    const query = new URLSearchParams({ clientId: message.clientId });
    if (message.type === "pull") {
      query.set("tables", String(message.tables));
      query.set("schemaVersion", String(message.schemaVersion));
    }
    const seen = {
      ...rules.arrived({ token: undefined, query }, { process, clock }),
      token: this.#seen!.token,
    };
    if (message.type === "pull") this.#stream = { seen, cursor: message.cursor ?? "" };
    else this.#pushes.set(String(message.id), pushes.arrived(message as PushRequest, seen));
    trace.count(`socket ${message.type}`);
  }

  /** And of what leaves it. */
  #told(message: WsGatewayMessage): void {
    const { rules, pushes, violate, trace } = this.#options;
    const stream = this.#stream;
    switch (message.type) {
      case "page":
        if (stream === undefined) return violate("a page was asked for", JSON.stringify(message));
        trace.count("socket page");
        rules.lasts(this.#seen!, this.#instance.clock);
        rules.page(stream.seen, stream.cursor, message);
        stream.cursor = message.cursor;
        return;
      case "answer": {
        const push = this.#pushes.get(String(message.id));
        if (push === undefined) return violate("a push was asked for", JSON.stringify(message));
        return pushes.answered(push, message);
      }
      case "error": {
        const { code, details } = message.error;
        if (code === "CHECKPOINT_REQUIRED" && stream !== undefined) {
          rules.refused(stream.seen, stream.cursor, details?.reason);
        }
        const push = this.#pushes.get(String(message.id));
        if (push !== undefined && code !== "INTERNAL" && code !== "TIMEOUT") pushes.refused(push);
        if (code === "UNAUTHENTICATED") trace.count("socket expired");
        if (code === "INTERNAL" && !this.#network.storageFails()) {
          violate("a gateway does not fail by itself", JSON.stringify(message));
        }
      }
    }
  }

  /** Something goes to the gateway, behind all that went before. */
  #up(run: () => void): void {
    const ms = this.#pass("drop request");
    if (ms === undefined) return;
    const { time } = this.#options;
    this.#lastUp = Math.max(time.now + ms, this.#lastUp);
    this.#goingUp.push(() => {
      if (!this.#isSilent) run();
    });
    this.#arriveUp();
  }

  /** Something goes to the device. */
  #down(run: () => void): void {
    const ms = this.#pass("drop answer");
    if (ms === undefined) return;
    const { time } = this.#options;
    this.#lastDown = Math.max(time.now + ms, this.#lastDown);
    this.#goingDown.push(() => {
      if (!this.#isSilent) run();
    });
    this.#ends.process.at(this.#lastDown, () => this.#goingDown.shift()!());
  }

  /** How long something is under way; undefined where the socket is cut over it. */
  #pass(fault: "drop request" | "drop answer"): number | undefined {
    const network = this.#network;
    const { trace } = this.#options;
    const { index } = this.#ends.device;
    if (this.#isSilent) return undefined;
    const isFirst = !this.#isUsed;
    this.#isUsed = true;
    if (network.isCut(index, this.#instance.index)) {
      trace.count("socket half-open");
      this.#isSilent = true;
      return undefined;
    }
    if (network.fault(index, fault) || network.fault(index, "reset")) {
      const kind = network.draw(index, 4);
      trace.count(kind === 0 ? "socket half-open" : "socket cut");
      if ((kind & 1) !== 0 || isFirst) this.#tellDevice(1006);
      if ((kind & 2) !== 0) this.#tellGateway();
      // What is told of it is told by whoever noticed, not through it.
      this.#isSilent = true;
      return undefined;
    }
    if (!network.fault(index, "delay")) return network.latency(index);
    trace.count("socket late");
    return network.late(index);
  }

  #tellDevice(code: number): void {
    if (this.#isSilent) return;
    const { time } = this.#options;
    this.#lastDown = Math.max(
      time.now + this.#network.latency(this.#ends.device.index),
      this.#lastDown,
    );
    this.#goingDown.push(() => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      this.#ends.listener.closed({ code, reason: "" });
    });
    this.#ends.process.at(this.#lastDown, () => this.#goingDown.shift()!());
  }

  #tellGateway(): void {
    if (this.#isSilent) return;
    const { time } = this.#options;
    this.#lastUp = Math.max(
      time.now + this.#network.latency(this.#ends.device.index),
      this.#lastUp,
    );
    this.#goingUp.push(() => this.#connection?.closed());
    this.#arriveUp();
  }

  #arriveUp(): void {
    const next = (): void => this.#goingUp.shift()!();
    if (this.#far === undefined) this.#options.time.at(this.#lastUp, next);
    else this.#far.at(this.#lastUp, next);
  }
}
