// Puts objects until it is killed, and tells of each put that was answered.
import process from "node:process";
import { fileObjectStore } from "../file_object_store.ts";

const store = fileObjectStore({ directory: process.argv[2]! });

async function* body(fill: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 8; i++) {
    await Promise.resolve();
    yield new Uint8Array(50_000).fill(fill);
  }
}

for (let n = 1;; n++) {
  const put = await store.put(`objects/${n}`, body(n & 0xff), { ifAbsent: n % 2 === 0 });
  if (!put.ok) throw put.error;
  process.stdout.write(`${n}\n`);
}
