import { err, type LakeSyncError, ok, type Result, toLakeSyncError } from "@lakesync/core";
import type { Admission } from "./admission.ts";
import type { Connections } from "./connections.ts";
import type { Answer } from "./http_answer.ts";
import { jsonAnswer } from "./http_form.ts";
import type { MeasuredGateway, Metrics } from "./metrics.ts";
import { OPENAPI } from "./openapi.ts";
import type { GatewayService } from "./service.ts";

/** Who may read a page: nobody, whoever has an admin's token, everybody. */
export type Exposure = "off" | "admin" | "open";

/** What the pages tell of. */
export interface OperatorPagesOptions {
  readonly gateways: readonly GatewayService[];
  readonly metrics: Metrics;
  readonly connections: Connections;
  /** The bytes of bodies in hand. */
  readonly bodies: Admission;
  /** Who may read those that are not for everybody by nature. */
  readonly exposure: { readonly metrics: Exposure; readonly ready: Exposure };
  /** Logs what a page goes on without. */
  readonly onError: (error: LakeSyncError, requestId: string) => void;
}

/** A page that belongs to no gateway. */
export interface OperatorPage {
  readonly path: string;
  readonly exposure: Exposure;
  /** Makes it, once its reader was let in. */
  readonly run: (reader: {
    readonly requestId: string;
    /** Whether an admin reads it. */
    readonly isAdmin: () => Promise<boolean>;
  }) => Promise<Result<Answer>>;
}

/**
 * The pages for operators and their machines (PROTOCOL, section 4).
 *
 * @param options What they tell of.
 * @returns Those that are not off.
 */
export function operatorPages(options: OperatorPagesOptions): OperatorPage[] {
  const { gateways, exposure } = options;
  const description = ok(jsonAnswer(OPENAPI));
  const pages: readonly OperatorPage[] = [
    {
      path: "/health",
      exposure: "open",
      run: () => Promise.resolve(ok(jsonAnswer({ status: "ok" }))),
    },
    {
      path: "/ready",
      exposure: exposure.ready,
      async run({ isAdmin }) {
        for (const gateway of gateways) {
          const ready = await gateway.ready();
          if (!ready.ok) return ready;
        }
        // Which gateways there are is told to nobody who may not come in.
        const ids = await isAdmin() && { gateways: gateways.map(({ id }) => id) };
        return ok(jsonAnswer({ status: "ready", ...ids }));
      },
    },
    { path: "/openapi.json", exposure: "open", run: () => Promise.resolve(description) },
    {
      path: "/metrics",
      exposure: exposure.metrics,
      run: async ({ requestId }) => ok(await metricsAnswer(options, requestId)),
    },
  ];
  return pages.filter(({ exposure }) => exposure !== "off");
}

async function metricsAnswer(options: OperatorPagesOptions, requestId: string): Promise<Answer> {
  const { gateways, metrics, connections, bodies, onError } = options;
  const measured = await Promise.all(
    gateways.map(async (gateway): Promise<MeasuredGateway> => {
      const stats = await statsOf(gateway);
      // The page is needed most when something is down.
      if (!stats.ok) onError(stats.error, requestId);
      return {
        id: gateway.id,
        connections: connections.count(gateway),
        stats: stats.ok ? stats.value : undefined,
      };
    }),
  );
  const body = await metrics.text({ gateways: measured, bodyBytes: bodies.taken });
  return { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body };
}

async function statsOf(gateway: GatewayService): ReturnType<GatewayService["stats"]> {
  try {
    return await gateway.stats();
  } catch (thrown) {
    return err(toLakeSyncError(thrown, "INTERNAL"));
  }
}
