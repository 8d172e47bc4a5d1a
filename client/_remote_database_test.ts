import { LakeSyncError, systemRandom, unwrapOrThrow } from "@lakesync/core";
import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import { type LeaderLine, RemoteDatabase } from "./_remote_database.ts";
import { LeaderLost } from "./_tab_rpc.ts";

/** A line whose answers, or failures, come in turn. */
function scripted(asked: string[], ...answers: unknown[]): LeaderLine {
  return {
    ask(op) {
      asked.push(op);
      const answer = answers.shift();
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as never);
    },
  };
}

test("whether a change was committed is asked until a leader says so, however late that comes", async () => {
  const asked: string[] = [];
  const row = { id: "a", title: "x" };
  const lines = [
    scripted(asked, new LeaderLost()),
    new LakeSyncError("TIMEOUT", "No tab answered"),
    scripted(asked, true),
    new LakeSyncError("TIMEOUT", "No tab answered"),
    scripted(asked, new LeaderLost()),
    scripted(asked, [row]),
  ];
  const database = new RemoteDatabase({
    finder: {
      leader() {
        const line = lines.shift()!;
        return line instanceof Error ? Promise.reject(line) : Promise.resolve(line);
      },
    },
    random: systemRandom,
    closed: () => Promise.resolve(),
  });
  const written = await database.write({ table: "t", grouped: false, method: "insert", row });
  assertEquals(unwrapOrThrow(written).value, row);
  assertEquals(asked, ["write", "committed", "rows", "rows"]);
  await database.close();
});
