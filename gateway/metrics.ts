import type { LogSeq, PushAnswer } from "@lakesync/core";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { ServiceStats } from "./service.ts";

/** A request that was answered. */
export interface AnsweredRequest {
  /** The route's pattern, never the path: paths are endless. */
  readonly route: string;
  /** The method; one that no route has counts as `OTHER`. */
  readonly method: string;
  /** The answer's status. */
  readonly status: number;
  /** From the request's arrival until its answer was made, in ms. */
  readonly ms: number;
}

/** What a gateway's gauges are set from. */
export interface MeasuredGateway {
  /** Its id. */
  readonly id: string;
  /** How many streams and WebSockets are open. */
  readonly connections: number;
  /** What it says of itself; undefined where it could not be asked. */
  readonly stats:
    | Pick<ServiceStats, "head" | "flushedSeq" | "trimmedSeq" | "clients" | "maintenance">
    | undefined;
}

/** What the gauges are set from. */
export interface Measured {
  /** The gateways. */
  readonly gateways: readonly MeasuredGateway[];
  /** The bytes of bodies and messages in hand. */
  readonly bodyBytes: number;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]);

/** What a handler counts, in Prometheus' text form. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Counter({
    name: "lakesync_http_requests_total",
    help: "Requests by route, method and status",
    labelNames: ["route", "method", "status"],
    registers: [this.#registry],
  });
  readonly #seconds = new Histogram({
    name: "lakesync_http_request_seconds",
    help: "How long answers took to make; of streams and held pulls until they began",
    labelNames: ["route"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [this.#registry],
  });
  readonly #deltas = new Counter({
    name: "lakesync_pushed_deltas_total",
    help: "Pushed deltas by what became of them",
    labelNames: ["gateway", "outcome"],
    registers: [this.#registry],
  });
  readonly #head = this.#gauge("lakesync_log_head", "The last seq of the log");
  readonly #flushed = this.#gauge("lakesync_log_flushed", "Every destination has it up to here");
  readonly #trimmed = this.#gauge("lakesync_log_trimmed", "The log begins behind this seq");
  readonly #clients = this.#gauge("lakesync_clients", "How many clients have pushed");
  readonly #up = this.#gauge("lakesync_gateway_up", "Whether the gateway's log can be asked");
  readonly #connections = this.#gauge("lakesync_connections", "Open streams and WebSockets");
  readonly #maintained = this.#gauge("lakesync_maintenance_runs", "Runs of the lake's upkeep");
  readonly #unmaintained = this.#gauge(
    "lakesync_maintenance_failures",
    "Runs of the lake's upkeep in which a step failed",
  );
  readonly #maintainedAt = this.#gauge(
    "lakesync_maintenance_last_end_seconds",
    "When the last run of the lake's upkeep ended, in seconds since 1970",
  );
  readonly #bodies = this.#gauge("lakesync_bodies_bytes", "Bytes of bodies and messages in hand");

  #gauge(name: string, help: string): Gauge<"gateway" | "shard"> {
    return new Gauge({ name, help, labelNames: ["gateway", "shard"], registers: [this.#registry] });
  }

  /** Counts an answered request. */
  answered({ route, method, status, ms }: AnsweredRequest): void {
    const known = METHODS.has(method) ? method : "OTHER";
    this.#requests.inc({ route, method: known, status: String(status) });
    this.#seconds.observe({ route }, ms / 1000);
  }

  /** Counts what became of a push's deltas. */
  pushed(
    gateway: string,
    { accepted, duplicates, rejected }: Pick<PushAnswer, "accepted" | "duplicates" | "rejected">,
  ): void {
    this.#deltas.inc({ gateway, outcome: "accepted" }, accepted);
    this.#deltas.inc({ gateway, outcome: "duplicate" }, duplicates);
    this.#deltas.inc({ gateway, outcome: "rejected" }, rejected.length);
  }

  /**
   * The text of all of it.
   *
   * @param measured What there is to measure now.
   * @returns Prometheus' text form, version 0.0.4.
   */
  text({ gateways, bodyBytes }: Measured): Promise<string> {
    // What a gateway that is down last said of itself is no news.
    for (const gauge of [this.#head, this.#flushed, this.#trimmed, this.#clients]) gauge.reset();
    this.#bodies.set(bodyBytes);
    for (const { id: gateway, connections, stats } of gateways) {
      this.#connections.set({ gateway }, connections);
      this.#up.set({ gateway }, stats === undefined ? 0 : 1);
      if (stats === undefined) continue;
      setSeq(this.#head, gateway, stats.head);
      setSeq(this.#flushed, gateway, stats.flushedSeq);
      setSeq(this.#trimmed, gateway, stats.trimmedSeq);
      this.#clients.set({ gateway }, stats.clients);
      const { maintenance } = stats;
      if (maintenance === undefined) continue;
      this.#maintained.set({ gateway }, maintenance.runs);
      this.#unmaintained.set({ gateway }, maintenance.failures);
      const { lastEndedAt } = maintenance;
      if (lastEndedAt !== null) this.#maintainedAt.set({ gateway }, Date.parse(lastEndedAt) / 1000);
    }
    return this.#registry.metrics();
  }
}

function setSeq(gauge: Gauge<"gateway" | "shard">, gateway: string, seq: LogSeq): void {
  if (typeof seq === "number") return gauge.set({ gateway }, seq);
  for (const [shard, value] of Object.entries(seq)) gauge.set({ gateway, shard }, value);
}
