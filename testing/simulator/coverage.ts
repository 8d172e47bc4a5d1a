/** What has to come about in a run of many seeds, or the run has not shown what it should. */
export const FAULTS: readonly string[] = [
  "net drop request",
  "net drop answer",
  "net reset",
  "net duplicate",
  "net delay",
  "net break off",
  "partition",
  "offline",
  "kill device",
  "kill within a device's transaction",
  "restart device",
  "freeze device",
  "kill gateway",
  "restart gateway",
  "freeze gateway",
  "device clock",
  "gateway clock",
  "log fail",
  "log lose-answer",
  "lake unavailable",
  "lake lose-answer",
  "lake linger",
  "lake 412",
  "upgrade device",
  "upgrade gateway",
  "trim",
  "reset",
  "restore",
  "sqlite log opened",
  "socket cut",
  "socket half-open",
  "socket late",
  "socket expired",
  "rules change",
  "claims change",
  "token expired",
];

/** What the faults have to meet. */
export const WORK: readonly string[] = [
  "write",
  "transaction",
  "insert",
  "update",
  "delete",
  "checkpoint",
  "accepted",
  "duplicate",
  "rejected CLOCK_DRIFT",
  "rejected STALE",
  "rejected TX_REJECTED",
  "rejected FORBIDDEN_WRITE",
  "socket",
  "socket push",
  "socket pull",
  "socket page",
  "ENTER",
  "REMOVE",
  "flush",
  "flush fails",
];

/** How often what was held to its promise. */
export const CHECKS: readonly string[] = [
  "check device",
  "check dead letter",
  "check push answer",
  "check commit",
  "check lake on the way",
  "check lake in the end",
  "check log",
  "check token",
  "check page",
  "check checkpoint rows",
  "check view change",
  "check write allowed",
  "check allowed rows in the end",
  "check replay",
];

/** What never came about though it has to. */
export function missing(counts: ReadonlyMap<string, number>): readonly string[] {
  return [...FAULTS, ...WORK, ...CHECKS].filter((what) => (counts.get(what) ?? 0) === 0);
}

/** The counts for people. */
export function coverageText(counts: ReadonlyMap<string, number>): string {
  const part = (title: string, names: readonly string[]) =>
    `${title}: ${names.map((name) => `${name} ${counts.get(name) ?? 0}`).join(", ")}`;
  return [part("faults", FAULTS), part("work", WORK), part("checks", CHECKS)].join("\n");
}
