import type { WriteSpec } from "./schedule.ts";
import { LONG_MS, type Timeline } from "./timeline.ts";

/** Things that hardly ever come about by themselves. */
export function addPattern(plan: Timeline): void {
  const { random } = plan;
  const [early, late] = plan.two();
  const row = plan.change("change");
  const remove: WriteSpec = { ...row, how: "delete" };
  const change = (device: number, spec: WriteSpec) => {
    plan.add({ do: "write", device, writes: [{ ...spec, columns: random.int(1, 15) }] });
    plan.at += random.int(0, 300);
  };
  const sync = (device: number, ms: number) => {
    plan.add({ do: "sync", device });
    plan.at += random.int(ms >> 1, ms);
  };
  switch (random.int(0, 7)) {
    case 0: {
      // Somebody deletes a row and the log forgets that, before an older change of it arrives.
      sync(early, 2_000);
      sync(late, 2_000);
      plan.add({ do: "pause", device: late, ms: LONG_MS + 30_000 });
      change(late, row);
      change(early, remove);
      sync(early, 2_000);
      plan.forget();
      return sync(late, 1_000);
    }
    case 1: {
      // A row dies and is made again; another device hears of it page by page.
      change(early, row);
      sync(early, 1_000);
      sync(late, 1_000);
      for (const how of ["delete", "change", "change", "delete", "change"] as const) {
        change(early, { ...row, how });
        if (random.chance(0.6)) sync(early, 500);
      }
      sync(early, 300);
      return sync(late, 300);
    }
    case 2: {
      // The answer to a push is lost, and the log forgets before it is repeated.
      change(early, row);
      plan.add({ do: "net", device: early, kind: "drop answer", chance: 1, ms: 3_000 });
      sync(early, 2_500);
      plan.add({ do: "pause", device: early, ms: LONG_MS + 20_000 });
      if (random.chance(0.5)) change(late, remove);
      sync(late, 1_000);
      plan.forget();
      return sync(early, 1_000);
    }
    case 3: {
      // Several change one row at about the same time.
      for (const device of plan.setting.devices.keys()) {
        plan.add({ do: "write", device, writes: [{ ...row, columns: 15 }] });
        plan.at += random.int(0, 20);
      }
      for (const device of plan.setting.devices.keys()) sync(device, 60);
      return;
    }
    case 4: {
      // The log no longer reaches back to a device, and its checkpoint breaks off.
      plan.add({ do: "pause", device: late, ms: LONG_MS + 10_000 });
      change(early, row);
      change(early, plan.change("change"));
      sync(early, 1_000);
      change(late, row);
      plan.forget();
      plan.at += 8_000;
      plan.add({ do: "net", device: late, kind: "break off", chance: 0.8, ms: 6_000 });
      sync(late, 500);
      change(late, row);
      return sync(late, 500);
    }
    case 5: {
      // A device is down for a moment between two changes of one row.
      change(early, row);
      plan.add({ do: "kill device", device: early, ms: random.int(1, 400) });
      plan.at += random.int(0, 600);
      change(early, row);
      change(early, row);
      return sync(early, 300);
    }
    case 6: {
      // A flush stands still for longer than its lease; another instance flushes; it goes on.
      const first = plan.instance();
      change(early, row);
      sync(early, 800);
      plan.add({ do: "flush", instance: first });
      plan.at += random.int(0, 700);
      plan.add({ do: "freeze gateway", instance: first, ms: 75_000 });
      plan.at += 63_000;
      change(late, row);
      sync(late, 800);
      plan.add({ do: "flush", instance: (first + 1) % plan.setting.instances });
      plan.at += 15_000;
      return plan.add({ do: "analyse" });
    }
    default: {
      // A device whose clock is ahead writes much, then learns the time.
      plan.add({ do: "device clock", device: early, skewMs: random.pick([60_000, 3_600_000]) });
      change(early, row);
      change(early, { ...row, how: random.chance(0.5) ? "delete" : "change" });
      change(early, row);
      sync(early, 400);
      change(early, row);
      return sync(late, 500);
    }
  }
}
