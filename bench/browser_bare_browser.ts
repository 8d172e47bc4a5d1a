/** A worker that inserts rows into a bare table in memory and tells how many seconds that took. */
import init from "@sqlite.org/sqlite-wasm";

const scope = globalThis as unknown as Worker;

scope.onmessage = async ({ data: rows }: MessageEvent<number>) => {
  const { oo1 } = await init();
  const database = new oo1.DB(":memory:");
  const values = JSON.stringify(
    Array.from(
      { length: rows },
      (_, i) => [crypto.randomUUID(), `Task number ${i}`, i % 2, i],
    ),
  );
  const start = performance.now();
  database.exec("CREATE TABLE todos (id TEXT PRIMARY KEY, title TEXT, done INTEGER, n INTEGER)");
  // One statement: nothing goes back and forth between JavaScript and WebAssembly.
  database.exec(
    "INSERT INTO todos SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?)",
    { bind: [values] },
  );
  scope.postMessage((performance.now() - start) / 1000);
  database.close();
};
