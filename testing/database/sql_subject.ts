import { sqlAdapter } from "@lakesync/adapter-database";
import { type Result, type SqlServer, unwrapOrThrow } from "@lakesync/core";
import type { DatabaseSubject, TestedAdapter } from "./fixture.ts";

/** How a SQL database is tested. */
export interface SqlSubjectOptions {
  /** Names it in the tests' titles. */
  readonly name: string;
  /** Why this machine cannot run the tests, where it cannot. */
  readonly skip?: string | undefined;
  /** Makes an empty database; the result opens connections to it. */
  create(): Promise<() => Promise<Result<SqlServer>>>;
  /** Kills the server and starts it again. */
  restart(): Promise<void>;
}

/** The adapter over a SQL database as a subject of the conformance suite. */
export function sqlSubject(options: SqlSubjectOptions): DatabaseSubject {
  return {
    name: options.name,
    skip: options.skip,
    restart: () => options.restart(),
    async create() {
      const connect = await options.create();
      const raw = unwrapOrThrow(await connect());
      const { quote } = raw.dialect;
      const ask = async (text: string) =>
        unwrapOrThrow(await raw.transaction((work) => work.run({ text, parameters: [] })));
      const opened: TestedAdapter[] = [];
      return {
        async open() {
          const adapter = sqlAdapter({ server: unwrapOrThrow(await connect()), name: "db" });
          opened.push(adapter);
          return adapter;
        },
        async rows(table) {
          const described = await raw.transaction((work) => raw.describe(work, table));
          const names = [...unwrapOrThrow(described).keys()];
          const rows = await ask(`SELECT ${names.map(quote)} FROM ${quote(table)}`);
          return rows.map((row) => new Map(names.map((name, i) => [name, row[i]!])));
        },
        async execute(text) {
          await ask(text.replaceAll(/"(\w+)"/g, (_, name) => quote(name)));
        },
        async [Symbol.asyncDispose]() {
          for (const adapter of opened) await adapter.close();
          await raw.close();
        },
      };
    },
  };
}
