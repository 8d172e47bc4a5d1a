// A program whose stop takes long enough to learn what became of the last log line.
import process from "node:process";
import { setTimeout } from "node:timers";
import { runUntilStopped } from "../program.ts";

runUntilStopped(() => new Promise((resolve) => setTimeout(resolve, 100)));
process.stdout.write('"alive"\n');
// Something to wait for until the signal comes.
setTimeout(() => {}, 60_000);
