import { parseArgs } from "node:util";
import { err, LakeSyncError, ok, type Result } from "@lakesync/core";
import { isLoopback } from "./loopback.ts";

/** What `serve` was asked for. */
export interface ServeArgs {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly gateways: readonly string[];
  readonly config: string | undefined;
}

/** How `serve` is called. */
export const SERVE_USAGE = `serve [flags]    starts a gateway

  --port N          the port, 0 for any free one          (8787)
  --host H          the address to listen on              (127.0.0.1)
  --data DIR        where the logs and the lake are kept  (./lakesync-data)
  --gateway ID      a gateway to serve; may be repeated   (default)
  --config FILE     a lakesync.config.ts
  --help            this text`;

/**
 * Reads the flags and the environment of `serve`.
 *
 * @param args The flags.
 * @param env The environment.
 * @returns What was asked for, or `"help"`; `VALIDATION_ERROR` where it cannot be done.
 */
export function parseServeArgs(
  args: readonly string[],
  env: { readonly [name: string]: string | undefined },
): Result<ServeArgs | "help"> {
  let values: {
    port?: string;
    host?: string;
    data?: string;
    gateway?: string[];
    config?: string;
    help?: boolean;
  };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string" },
        host: { type: "string" },
        data: { type: "string" },
        gateway: { type: "string", multiple: true },
        config: { type: "string" },
        help: { type: "boolean" },
      },
    }));
  } catch (cause) {
    return invalid(`${cause instanceof Error ? cause.message : String(cause)}; see --help`);
  }
  if (values.help === true) return ok("help");
  const { port = "8787", host = "127.0.0.1", data = "lakesync-data", gateway = ["default"] } =
    values;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    return invalid(`--port ${port} is not a port: take 0 to 65535`);
  }
  // Its logs would land in the working directory.
  if (data === "") return invalid("--data is empty: name a directory");
  for (const id of gateway) {
    if (!/^[A-Za-z0-9._~-]{1,64}$/.test(id) || /^\.+$/.test(id)) {
      return invalid(
        `--gateway ${id} is no id: take 1 to 64 letters, digits, ".", "_", "~" or "-"`,
      );
    }
  }
  if (new Set(gateway).size < gateway.length) return invalid("--gateway names one id twice");
  for (const name of ["LAKESYNC_JWT_SECRET", "LAKESYNC_JWKS_URL"]) {
    // To go on without it would open a gateway that its operator believes to be closed.
    if ((env[name] ?? "") !== "") {
      return invalid(
        `${name} is set, but this version cannot authenticate yet: unset it to serve loopback only`,
      );
    }
  }
  if (!isLoopback(host)) {
    return invalid(
      `--host ${host} is refused: without authentication a gateway serves loopback only`,
    );
  }
  return ok({ port: Number(port), host, data, gateways: gateway, config: values.config });
}

function invalid(message: string): Result<never> {
  return err(new LakeSyncError("VALIDATION_ERROR", message));
}
