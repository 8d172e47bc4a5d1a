import type { PageItem, PullAnswer, Rules } from "@lakesync/core";
import type { Issued, Issuer } from "./issuer.ts";
import type { Line } from "./line.ts";
import { itemFault, rowFault, type SentRow } from "./page_check.ts";
import type { SimClock, SimProcess } from "./process.ts";
import { type OracleClaims, type View, viewText } from "./rules_oracle.ts";
import type { Trace } from "./trace.ts";

/** What a {@linkcode RulesWatch} works with. */
export interface RulesWatchOptions {
  readonly time: { readonly now: number };
  readonly trace: Trace;
  /** Undefined where there is no authentication. */
  readonly issuer: Issuer | undefined;
  readonly line: () => Line;
  readonly violate: (promise: string, details: string) => void;
}

/** A request as it comes to an instance. */
export interface Seen {
  readonly at: number;
  readonly clientId: string;
  readonly process: SimProcess;
  readonly token: Issued | undefined;
  /** Whether its token is good by the instance's clock. */
  readonly isGood: boolean;
  /** Whatever else decides what it may see: the tables and the version that it names. */
  readonly asked: string;
}

/** Rules, from when on, and where the log ended then. */
interface InForce {
  readonly at: number;
  readonly head: number;
  readonly rules: Rules | undefined;
}

/** What a cursor stands for. */
export interface Given {
  readonly line: Line;
  readonly seq: number;
  /** What its reader could see by it: more than one where rules changed just then. */
  readonly views: readonly View[];
  readonly asked: string;
  readonly at: number;
}

/** From looking at the rules to sending what was made by them takes an instance no longer, in ms. */
const LOOK_MS = 1_000;
/** No clock ticks more coarsely, in ms. */
const COARSEST_MS = 10_000;
const LEAK = "nobody is sent what is not theirs to see";

/** Knows which rules were in force when, and holds all that leaves a gateway to them. */
export class RulesWatch {
  readonly #options: RulesWatchOptions;
  readonly #history: InForce[] = [{ at: 0, head: 0, rules: undefined }];
  readonly #given = new Map<string, Given>();
  #text: string | undefined;

  constructor(options: RulesWatchOptions) {
    this.#options = options;
  }

  /** The rules in force. */
  get rules(): Rules | undefined {
    return this.#history.at(-1)!.rules;
  }

  /** The store has these from now on, in the form in which it keeps them. */
  stored(text: string | undefined): void {
    if (text === this.#text) return;
    this.#text = text;
    const { time, trace, line } = this.#options;
    const rules = text === undefined ? undefined : (JSON.parse(text) as { rules: Rules }).rules;
    this.#history.push({ at: time.now, head: line().head, rules });
    trace.note("rules", "are in force", JSON.stringify(rules ?? null));
    trace.count("rules change");
  }

  /** What a cursor stands for. */
  given(cursor: string): Given | undefined {
    return this.#given.get(cursor);
  }

  /** A request comes to an instance. */
  arrived(
    request: { readonly token: string | undefined; readonly query: URLSearchParams },
    at: { readonly process: SimProcess; readonly clock: SimClock },
  ): Seen {
    const { issuer, time } = this.#options;
    const { token: text, query } = request;
    const token = issuer?.issued(text);
    const isGood = issuer === undefined ||
      (token !== undefined && at.clock.now() < token.expiresAt);
    const asked = `${query.get("tables")} ${query.get("schemaVersion")}`;
    const clientId = query.get("clientId") ?? "";
    return { at: time.now, clientId, process: at.process, token, isGood, asked };
  }

  /** What somebody could see at any time since then. */
  viewsSince(since: number, claims: OracleClaims): readonly View[] {
    const views: View[] = [];
    for (let i = this.#history.length - 1; i >= 0; i--) {
      const { at, rules } = this.#history[i]!;
      views.push({ rules, claims });
      if (at < since) break;
    }
    return views;
  }

  /** A gateway answers; whoever has no good token must not be let in, and all others must. */
  answered({ isGood, process }: Seen, status: number): void {
    const { issuer, trace, violate } = this.#options;
    if (issuer === undefined || !process.alive) return;
    trace.count("check token");
    if (status === 401) trace.count("token expired");
    if (status === 401 && isGood) violate("whoever has a good token is let in", "401");
    if (status < 300 && !isGood) violate("whoever has no good token is not let in", `${status}`);
  }

  /** A page leaves on a stream, which must end with its token. */
  lasts({ token, process }: Seen, clock: SimClock): void {
    if (token === undefined) return;
    const { time, violate } = this.#options;
    const ago = time.now - process.awakeSince(LOOK_MS) + COARSEST_MS;
    if (clock.now() - ago < token.expiresAt) return;
    violate("a stream ends when its token expires", `at ${clock.now()}, not ${token.expiresAt}`);
  }

  /** A page leaves a gateway. `cursor` is the one that it was asked with. */
  page(seen: Seen, cursor: string, answer: PullAnswer): void {
    const { line: lineOf, trace, violate } = this.#options;
    const line = lineOf();
    const from = cursor === "" ? 0 : this.given(cursor)?.seq ?? 0;
    const to = answer.seq as number;
    const views = this.#now(seen);
    this.#give(answer.cursor, { line, seq: to, views, asked: seen.asked });
    if (answer.deltas.length === 0) return;
    trace.count("check page");
    let fault: string | undefined;
    for (const view of views) {
      const options = { line, from, to, view, clientId: seen.clientId };
      fault = firstFault(answer.deltas, (item: PageItem) => itemFault(item, options));
      if (fault === undefined) break;
    }
    if (fault !== undefined) violate(LEAK, `${seen.clientId} gets ${fault}`);
    for (const { op } of answer.deltas) {
      if (op === "ENTER" || op === "REMOVE") trace.count(op);
    }
  }

  /** A checkpoint begins; what looks at its texts as they leave. */
  checkpoint(seen: Seen): (text: string) => void {
    const { line: lineOf, trace, violate } = this.#options;
    const line = lineOf();
    const views = this.#now(seen);
    let rest = "";
    let seq: number | undefined;
    return (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      const rows: SentRow[] = [];
      for (const one of lines) {
        const value = JSON.parse(one) as {
          readonly checkpoint?: { readonly seq: number; readonly cursor: string };
          readonly end?: unknown;
        };
        if (value.checkpoint !== undefined) {
          seq = value.checkpoint.seq;
          this.#give(value.checkpoint.cursor, { line, seq, views, asked: seen.asked });
        } else if (value.end === undefined) rows.push(value as unknown as SentRow);
      }
      if (seq === undefined || rows.length === 0) return;
      trace.count("check checkpoint rows", rows.length);
      const at = seq;
      const faults = views.map((view) =>
        firstFault(rows, (row) => rowFault(row, { line, seq: at, view }))
      );
      if (faults.every((fault) => fault !== undefined)) {
        violate(LEAK, `${seen.clientId} gets in a checkpoint of seq ${at} ${faults[0]}`);
      }
    };
  }

  /** A gateway asks for a checkpoint because what the caller may see has changed. */
  refused(seen: Seen, cursor: string, reason: unknown): void {
    const { trace, violate, line } = this.#options;
    const given = this.given(cursor);
    if (reason !== "digest" || given === undefined || given.line !== line()) return;
    trace.count("check view change");
    if (given.asked !== seen.asked) return;
    // What came before the rules can be judged by them only while the log has its beginning.
    if (line().trimmed > 0 && given.seq < this.#history.at(-1)!.head) return;
    const views = this.viewsSince(given.at, seen.token?.claims ?? {});
    const texts = new Set([...views, ...given.views].map(viewText));
    if (texts.size > 1) return;
    violate(
      "a change that leaves somebody's filters alone changes nothing for them",
      `${seen.clientId} is asked for a checkpoint at ${cursor}`,
    );
  }

  /** What somebody may see by what an instance that sends something now has looked at. */
  #now({ at, process, token }: Seen): readonly View[] {
    return this.viewsSince(Math.max(at, process.awakeSince(LOOK_MS)), token?.claims ?? {});
  }

  #give(cursor: string, given: Omit<Given, "at">): void {
    this.#given.set(cursor, { ...given, at: this.#options.time.now });
  }
}

function firstFault<T>(
  list: readonly T[],
  faultOf: (item: T) => string | undefined,
): string | undefined {
  for (const item of list) {
    const fault = faultOf(item);
    if (fault !== undefined) return `${JSON.stringify(item)}: ${fault}`;
  }
  return undefined;
}
