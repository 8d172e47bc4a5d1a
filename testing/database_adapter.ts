/**
 * The conformance suite of the `DatabaseAdapter` port: what every implementation must hold.
 */
import { registerDeltaCases } from "./database/delta_cases.ts";
import type { DatabaseSubject, TestDatabase } from "./database/fixture.ts";
import { registerMaterialiseCases } from "./database/materialise_cases.ts";
import { registerRestartCases } from "./database/restart_cases.ts";
import { test } from "./test.ts";

export type { DatabaseSubject, TestDatabase, TestedAdapter } from "./database/fixture.ts";

/** Registers the suite for one implementation. */
export function testDatabaseAdapter(subject: DatabaseSubject): void {
  const { name, skip } = subject;
  const check = (title: string, body: (database: TestDatabase) => Promise<void>) =>
    test({ name: `DatabaseAdapter ${name} ${title}`, skip }, async () => {
      await using database = await subject.create();
      await body(database);
    });
  registerDeltaCases(check);
  registerMaterialiseCases(check);
  if (subject.restart !== undefined) registerRestartCases(check, () => subject.restart!());
}
