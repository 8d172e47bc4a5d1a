import { join } from "node:path";
import { fileObjectStore } from "@lakesync/adapter-file";
import { memoryObjectStore } from "@lakesync/adapter-memory";
import { recordSource } from "@lakesync/adapter-sources";
import { pendingFromLog } from "@lakesync/analyst";
import { type ObjectStore, ok, type SourceChange, unwrapOrThrow } from "@lakesync/core";
import { ManualClock, Prng } from "@lakesync/testing";
import { assert, assertEquals } from "@std/assert";
import { Device, type Write } from "./device.ts";
import { History, type OracleRows } from "./history.ts";
import { checkLake, expectedRows } from "./lake_check.ts";
import { type LakeFault, Machine, RETENTION_MS } from "./machine.ts";
import { Network, type NetworkFault } from "./network.ts";
import { schemasOf, valuesFor } from "./tables.ts";

/** The number of devices. */
export const DEVICES = 3;

/** Long enough for a flush to trim the log of what is older. */
const LONG_MS = RETENTION_MS + 60_000;

/** What a world is made of. */
export interface Setting {
  readonly log: "sqlite" | "memory";
  readonly lake: "file" | "memory";
  /** The most items of a page. */
  readonly pageItems: number;
  /** How wrong each device's clock is at first, in ms. */
  readonly offsets: readonly number[];
}

/** Something that happens. */
export type Step =
  | { readonly do: "write"; readonly device: number; readonly writes: readonly Write[] }
  | { readonly do: "sync"; readonly device: number; readonly faults: readonly NetworkFault[] }
  | {
    readonly do: "write during sync";
    readonly device: number;
    readonly writes: readonly Write[];
  }
  | {
    readonly do: "flush during sync";
    readonly device: number;
    readonly faults: readonly (readonly [number, LakeFault])[];
  }
  | { readonly do: "flush"; readonly faults: readonly (readonly [number, LakeFault])[] }
  | { readonly do: "overtaken flush"; readonly place: number }
  | { readonly do: "trim" }
  | { readonly do: "ingest"; readonly writes: readonly Write[] }
  | { readonly do: "restart device"; readonly device: number }
  | { readonly do: "kill device"; readonly device: number; readonly turns: number }
  | { readonly do: "upgrade device"; readonly device: number }
  | { readonly do: "restart gateway" }
  | { readonly do: "kill gateway" }
  | { readonly do: "upgrade gateway" }
  | { readonly do: "repeat last push"; readonly device: number }
  | { readonly do: "set clock"; readonly device: number; readonly ms: number }
  | { readonly do: "set gateway back"; readonly ms: number }
  | { readonly do: "time"; readonly ms: number };

/** Devices, a network, a gateway and a lake; and everything that was ever accepted. */
export class World {
  readonly #directory: string;
  readonly #clock: ManualClock = new ManualClock();
  readonly #history: History = new History();
  readonly #lake: ObjectStore;
  readonly #machine: Machine;
  readonly #network: Network;
  readonly #devices: Device[];
  readonly #records: Write[] = [];
  /** How often what happened, to see that it does. */
  readonly counts: Map<string, number> = new Map();

  private constructor(directory: string, setting: Setting) {
    this.#directory = directory;
    const clock = this.#clock;
    const history = this.#history;
    this.#lake = setting.lake === "file"
      ? fileObjectStore({ directory: join(directory, "lake") })
      : memoryObjectStore({ clock });
    this.#machine = new Machine({
      directory,
      log: setting.log,
      pageItems: setting.pageItems,
      lake: this.#lake,
      clock,
      history,
    });
    this.#network = new Network({ machine: this.#machine, history, clock });
    this.#devices = setting.offsets.map((offsetMs, index) =>
      new Device({
        directory,
        index,
        offsetMs,
        send: (request) => this.#network.fetch(request),
      })
    );
  }

  static async open(directory: string, setting: Setting): Promise<World> {
    const world = new World(directory, setting);
    await world.#machine.start(1);
    for (const device of world.#devices) await device.start();
    return world;
  }

  /** Lets something happen; then whatever it left under way has ended. */
  async step(step: Step): Promise<void> {
    this.#count(step.do);
    await this.#run(step);
    await this.#machine.running();
    this.#network.faults = [];
    this.#checkNetwork();
    await this.#history.read(this.#machine.store);
    if ("device" in step) await this.#checkShown(this.#device(step));
  }

  /** A device shows at any time what it was told with its own changes on top. */
  async #checkShown(device: Device): Promise<void> {
    const standing = await device.standing();
    if (standing === undefined) return;
    const rows = this.#history.shown(standing.seq, standing.own);
    await this.#checkRows(device, rows, `at seq ${standing.seq}`);
  }

  async #checkRows(device: Device, rows: OracleRows, when: string): Promise<void> {
    for (const schema of await device.shownSchemas()) {
      assertEquals(
        (await device.rows(schema.table)).map((row) => ({ ...row })),
        expectedRows(rows, schema, "device"),
        `${schema.table} of ${device.clientId} ${when}`,
      );
    }
  }

  async #run(step: Step): Promise<void> {
    switch (step.do) {
      case "write":
        return await this.#device(step).write(step.writes);
      case "sync":
        this.#network.faults = [...step.faults];
        await this.#sync(this.#device(step));
        return;
      case "write during sync":
        await Promise.all([
          this.#sync(this.#device(step)),
          this.#device(step).write(step.writes),
        ]);
        return;
      case "flush during sync":
        await Promise.all([this.#sync(this.#device(step)), this.#flush(step.faults)]);
        return;
      case "flush":
        return await this.#flush(step.faults);
      case "overtaken flush":
        this.#count(
          await this.#machine.overtakenFlush(step.place) ? "overtaken" : "not overtaken",
        );
        return;
      case "trim":
        await this.#advance(LONG_MS);
        return await this.#flush([]);
      case "ingest":
        this.#records.push(...step.writes);
        return await this.#ingest();
      case "restart device":
        return await this.#device(step).restart();
      case "kill device":
        return await this.#device(step).killDuringSync(step.turns);
      case "upgrade device":
        return await this.#device(step).restart(2);
      case "restart gateway":
        return await this.#machine.restart();
      case "kill gateway":
        return await this.#machine.kill();
      case "upgrade gateway":
        return await this.#machine.restart(2);
      case "repeat last push":
        return await this.#network.repeatLastPush(this.#device(step).clientId);
      case "set clock":
        return this.#device(step).clock.set(this.#clock.now() + step.ms);
      case "set gateway back":
        return this.#clock.set(this.#clock.now() - step.ms);
      case "time":
        return await this.#advance(step.ms);
    }
  }

  /** All faults are over; then everybody syncs twice. */
  async settle(): Promise<void> {
    if (this.#devices.some(({ version }) => version > this.#machine.version)) {
      await this.#machine.restart(2);
    }
    // Longer than the lease that a killed flusher has left.
    await this.#advance(61_000);
    await this.#ingest();
    for (let round = 0; round < 2; round++) {
      for (const { client } of this.#devices) unwrapOrThrow(await client.syncOnce());
    }
    this.#checkNetwork();
    await this.#history.read(this.#machine.store);
  }

  /** Holds everything to the merge of what was accepted. */
  async check(picks: readonly number[]): Promise<void> {
    const { accepted } = this.#history;
    const ids = new Set(accepted.map(({ delta }) => delta.deltaId));
    assertEquals(ids.size, accepted.length, "no delta is accepted twice");
    const rows = this.#history.rows();
    for (const device of this.#devices) await this.#checkDevice(device);
    const { gateway, store } = this.#machine;
    const { head, tables } = unwrapOrThrow(await gateway.stats());
    assertEquals(head, accepted.length);
    for (const { table } of gateway.tables) {
      assertEquals(tables[table]?.rows, rows.get(table)?.size ?? 0, `visible rows of ${table}`);
    }
    const asOf = accepted.length === 0 ? [] : picks.map((pick) => {
      const { hlc } = accepted[pick % accepted.length]!.delta;
      return String(BigInt(hlc) - BigInt(pick % 2));
    });
    const options = {
      directory: join(this.#directory, "seen"),
      schemas: gateway.tables,
      accepted,
      rows: this.#history.rows.bind(this.#history),
      asOf,
    };
    const schemas = () => Promise.resolve(ok(gateway.tables));
    const flushed = () => gateway.flushedUpTo("iceberg");
    const pending = pendingFromLog(store, { schemas, flushed });
    await checkLake(this.#lake, { ...options, pending, asOf: asOf.slice(1) });
    assertEquals(unwrapOrThrow(await gateway.flush()).flushedSeq, head);
    await checkLake(this.#lake, options);
  }

  async #checkDevice(device: Device): Promise<void> {
    const { client, clientId } = device;
    await this.#checkRows(device, this.#history.rows(), "in the end");
    assertEquals(unwrapOrThrow(await client.pending()), 0);
    const letters = unwrapOrThrow(await client.rejected.list());
    for (const { delta, code } of letters) {
      assertEquals(this.#network.rejections.get(delta.deltaId), code, "its rejection was due");
      const tx = letters.filter((other) => other.delta.txId === delta.txId);
      assert(code === "STALE" || tx.some((other) => other.code === "STALE"), code);
    }
    this.#count("dead letter", letters.length);
    const accepted = this.#history.accepted.filter(({ delta }) => delta.clientId === clientId);
    assertEquals(accepted.length + letters.length, device.made, `deltas of ${clientId}`);
  }

  async close(): Promise<void> {
    for (const device of this.#devices) await device.close();
    await this.#machine.close();
  }

  #device({ device }: { readonly device: number }): Device {
    return this.#devices[device]!;
  }

  async #sync({ client }: Device): Promise<void> {
    const synced = await client.syncOnce();
    this.#count(synced.ok ? "synced" : `not synced: ${synced.error.code}`);
    if (synced.ok && synced.value.checkpointRows > 0) this.#count("checkpoint");
  }

  async #flush(faults: readonly (readonly [number, LakeFault])[]): Promise<void> {
    const flushed = await this.#machine.flush(new Map(faults));
    this.#count(flushed ? "flushed" : "not flushed");
    const { trimmed } = unwrapOrThrow(await this.#machine.store.stats());
    if (trimmed > 0) this.#count("trimmed");
  }

  /** Everything that its source has goes into the gateway, from where it stood. */
  async #ingest(): Promise<void> {
    const schemas = new Map(schemasOf(1).map((schema) => [schema.table, schema]));
    const source = recordSource({
      name: "feed",
      records: () => this.#records,
      change: ({ table, id, how, seed }): SourceChange => ({
        op: how < 3 ? "delete" : "upsert",
        table,
        rowId: id,
        columns: how < 3
          ? new Map()
          : valuesFor(schemas.get(table)!, { op: "insert", prng: new Prng(seed) }),
      }),
      batchSize: 2,
    });
    unwrapOrThrow(await this.#machine.gateway.ingest(source));
  }

  async #advance(ms: number): Promise<void> {
    for (const clock of [this.#clock, ...this.#devices.map((device) => device.clock)]) {
      await clock.advance(ms);
    }
  }

  #checkNetwork(): void {
    const [failure] = this.#network.failures;
    if (failure !== undefined) throw failure;
  }

  #count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }
}
