import {
  type Client,
  createClient,
  httpTransport,
  type OpenSocket,
  webSocketTransport,
} from "@lakesync/client";
import { protobufFrames } from "@lakesync/client/protobuf";
import { type AppValue, type JsonValue, type SyncTransport } from "@lakesync/core";
import { DeviceDisk } from "./disk.ts";
import { DeviceWatch, type PlannedChange, type WatchContext } from "./device_watch.ts";
import type { Issuer } from "./issuer.ts";
import { SimClock, SimProcess } from "./process.ts";
import type { DeviceSetting, WriteSpec } from "./schedule.ts";
import { type AppVersion, freshValue, JUDGED, schemasOf, tablesOf } from "./tables.ts";
import type { Trace } from "./trace.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** What a {@linkcode Device} works with. */
export interface DeviceOptions {
  readonly index: number;
  readonly setting: DeviceSetting;
  readonly seed: bigint;
  readonly grainMs: number;
  readonly latencyMs: number;
  readonly time: VirtualTime;
  readonly trace: Trace;
  /** The network. */
  readonly send: (device: Device, process: SimProcess, request: Request) => Promise<Response>;
  /** What opens its WebSockets. */
  readonly sockets: (device: Device, process: SimProcess) => OpenSocket;
  readonly watch: Omit<WatchContext, "name">;
  /** Signs its user's tokens; undefined where there is no authentication. */
  readonly issuer: Issuer | undefined;
  /** A number that was never given before. */
  readonly count: () => number;
}

/** The tables of either version look alike from here. */
interface AnyTable {
  insert(row: Record<string, AppValue>): Promise<unknown>;
  update(id: string, changes: Record<string, AppValue>): Promise<unknown>;
  delete(id: string): Promise<boolean>;
  get(id: string): Promise<Record<string, unknown> | undefined>;
}

/** A device: its clock and its disk, and the client that runs on them now and then. */
export class Device {
  readonly clientId: string;
  readonly clock: SimClock;
  readonly watch: DeviceWatch;
  readonly #options: DeviceOptions;
  readonly #disk: DeviceDisk;
  #starts = 0;
  #process: SimProcess | undefined;
  #client: Client | undefined;

  private constructor(options: DeviceOptions, parts: { disk: DeviceDisk; watch: DeviceWatch }) {
    const { time, setting, grainMs, index } = options;
    this.#options = options;
    this.#disk = parts.disk;
    this.watch = parts.watch;
    this.clientId = CLIENT_IDS[index]!;
    this.clock = new SimClock(time, { skewMs: setting.skewMs, grainMs });
  }

  static async make(options: DeviceOptions): Promise<Device> {
    const { trace, index } = options;
    const parts: { watch?: DeviceWatch } = {};
    const disk = await DeviceDisk.make({
      latencyMs: options.latencyMs,
      committed: async () => await parts.watch?.committed(),
      torn: () => trace.count("kill within a device's transaction"),
    });
    parts.watch = new DeviceWatch(disk.peek(), { ...options.watch, name: CLIENT_IDS[index]! });
    return new Device(options, { disk, watch: parts.watch });
  }

  get name(): string {
    return `device${this.#options.index}`;
  }

  /** Whose it is. */
  get sub(): string {
    return this.clientId.split(":")[0]!;
  }

  get index(): number {
    return this.#options.index;
  }

  /** The client, where one runs. */
  get client(): Client | undefined {
    return this.#client;
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Starts the app. */
  async start(version: AppVersion = this.watch.version): Promise<void> {
    const { setting, time, seed, trace, send, sockets, watch, issuer } = this.#options;
    const start = ++this.#starts;
    const process = new SimProcess(time, {
      name: this.name,
      clock: this.clock,
      seed: seed + BigInt(start),
    });
    this.#process = process;
    if (version > this.watch.version) {
      this.watch.version = version;
      // Until the upgrade is committed its tables are the old ones: then they lack columns.
      this.watch.evolved = true;
    }
    trace.note(this.name, `starts, version ${version}`);
    const http = {
      url: "http://gateway",
      gateway: "main",
      scheduler: process.scheduler,
      timeoutMs: 10_000,
      fetch: (request: Request) => send(this, process, request),
      ...(issuer !== undefined && {
        getToken: async () => {
          await process.take(40);
          trace.count("token");
          return await issuer.token(this.sub);
        },
      }),
    };
    const transport: SyncTransport = setting.socket === undefined
      ? httpTransport(http)
      : webSocketTransport({
        ...http,
        ...(setting.socket === "protobuf" && { frames: protobufFrames }),
        open: sockets(this, process),
        random: process.random,
      });
    const opened = await createClient({
      tables: tablesOf(version),
      database: this.#disk.open(process),
      transport: { ...transport, live: setting.live },
      clientId: this.clientId,
      sync: { auto: setting.auto, intervalMs: setting.intervalMs },
      clock: process.clock,
      scheduler: process.scheduler,
      random: process.random,
    });
    if (this.#process !== process) return;
    if (opened.ok) this.#client = opened.value;
    else watch.violate("a device's database opens again", opened.error.message);
  }

  /** Starts the app where it does not run. */
  ensure(version?: AppVersion): void {
    if (!this.running) void this.start(version);
  }

  /** Its process dies. */
  kill(): void {
    if (this.#process === undefined) return;
    this.#options.trace.note(this.name, "is killed");
    this.#options.trace.count("kill device");
    this.#process.kill();
    this.#process = undefined;
    this.#client = undefined;
    this.watch.planned = [];
  }

  /** Its app is closed in good order. */
  async close(): Promise<void> {
    const process = this.#process;
    await this.#client?.close();
    if (this.#process !== process) return;
    process?.kill();
    this.#process = undefined;
    this.#client = undefined;
    // A write that was under way has not come to its commit.
    this.watch.planned = [];
  }

  /** Changes rows in one transaction. */
  async write(writes: readonly WriteSpec[]): Promise<void> {
    const { trace, watch } = this.#options;
    const client = this.#client;
    if (client === undefined) return;
    const written = await client.transaction(async ({ tables }) => {
      const planned: PlannedChange[] = [];
      for (const write of writes) {
        const table = (tables as unknown as Record<string, AnyTable>)[write.table]!;
        planned.push(...await this.#change(table, write));
      }
      this.watch.planned = planned;
      return planned;
    });
    if (written.ok) {
      const made = written.value;
      trace.note(this.name, "wrote", made.map(changeText).join("; "));
      trace.count(made.length > 1 ? "transaction" : "write");
    } else if (written.error.code !== "CLOSED") {
      watch.violate("a local write succeeds", `${written.error.code}: ${written.error.message}`);
    }
  }

  async #change(table: AnyTable, write: WriteSpec): Promise<PlannedChange[]> {
    const { trace } = this.#options;
    const { id, how } = write;
    const before = await table.get(id);
    const there = before !== undefined;
    const row = { table: write.table, rowId: id };
    if (there && how === "delete") {
      await table.delete(id);
      trace.count("delete");
      return [{ op: "DELETE", ...row, columns: new Map() }];
    }
    const schema = schemasOf(this.watch.version).find(({ table }) => table === write.table)!;
    const columns = new Map<string, JsonValue>();
    schema.columns.filter(({ name }) => !JUDGED.has(name)).forEach((column, i) => {
      // An insert carries what must be there; a bit for each column says whether it goes along.
      const needed = !there && column.nullable !== true;
      if (!needed && (write.columns >> i) % 2 === 0) return;
      columns.set(column.name, freshValue(column.type, this.#options.count()) as JsonValue);
    });
    if (write.judged !== undefined && (!there || write.judged.moves)) {
      for (const name of ["team", "level"] as const) {
        const value = write.judged[name];
        if (value !== (before?.[name] ?? null)) columns.set(name, value);
      }
    }
    if (there && columns.size === 0) return [];
    const values = Object.fromEntries(columns) as Record<string, AppValue>;
    if (there) await table.update(id, values);
    else await table.insert({ id, ...values });
    trace.count(there ? "update" : "insert");
    return [{ op: there ? "UPDATE" : "INSERT", ...row, columns }];
  }

  /** Syncs once; nobody waits for it. */
  async sync(): Promise<void> {
    const { trace } = this.#options;
    const synced = await this.#client?.syncOnce();
    if (synced === undefined) return;
    trace.note(this.name, synced.ok ? "synced" : `not synced: ${synced.error.code}`);
    if (synced.ok && synced.value.checkpointRows > 0) trace.count("checkpoint");
  }

  /** Its process stands still for so long. */
  freeze(ms: number): void {
    this.#process?.freeze(ms);
  }

  /** It goes on. */
  thaw(): void {
    this.#process?.thaw();
  }
}

function changeText({ op, table, rowId, columns }: PlannedChange): string {
  return `${op} ${table}/${rowId} ${JSON.stringify(Object.fromEntries(columns))}`;
}

/** Several devices of one user, and others; their order is not that of their indexes. */
export const CLIENT_IDS: readonly string[] = [
  "carol:b",
  "alice:phone",
  "bob",
  "alice:laptop",
  "dave",
];
