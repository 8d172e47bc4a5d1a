// A program in which failures come that nobody waits for.
import process from "node:process";
import { setTimeout } from "node:timers";
import { runUntilStopped } from "../program.ts";

runUntilStopped(() => Promise.resolve());
void Promise.reject(new Error("stray rejection"));
setTimeout(() => {
  throw new Error("stray exception");
}, 0);
setTimeout(() => process.stdout.write('"alive"\n'), 20);
// Something to wait for until the signal comes.
setTimeout(() => {}, 60_000);
