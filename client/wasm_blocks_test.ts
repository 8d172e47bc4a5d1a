import { test } from "@lakesync/testing";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { BLOCK_BYTES, BlockFile } from "./_wasm_blocks.ts";

const place = fc.integer({ min: 0, max: 4 * BLOCK_BYTES });
const step = fc.oneof(
  fc.record({
    do: fc.constant("write" as const),
    at: place,
    bytes: fc.uint8Array({ minLength: 1 }),
  }),
  fc.record({
    do: fc.constant("write" as const),
    at: place,
    bytes: fc.constant(new Uint8Array(BLOCK_BYTES + 7).fill(9)),
  }),
  fc.record({ do: fc.constant("truncate" as const), at: place }),
  fc.record({ do: fc.constantFrom("keep" as const, "revert" as const) }),
);

/** A file's bytes. */
function whole(file: BlockFile): Uint8Array {
  const bytes = new Uint8Array(file.size());
  assertEquals(file.read(bytes, 0), bytes.length);
  return bytes;
}

/** What a store of blocks has, as IndexedDB keeps it. */
class Store {
  blocks: Uint8Array[] = [];
  size = 0;

  keep(file: BlockFile): void {
    const changes = file.changes();
    if (changes === undefined) return;
    for (const [i, block] of changes.written) this.blocks[i] = block.slice();
    this.blocks.length = Math.min(this.blocks.length, changes.end);
    this.size = changes.size;
    file.kept();
  }

  open(): BlockFile {
    return new BlockFile(this.blocks.map((block) => block.slice()), this.size);
  }
}

test("a file of blocks is a file, and what it says has changed is all that has", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const file = new BlockFile([], 0);
      const store = new Store();
      let model = new Uint8Array();
      let kept = model;
      for (const now of steps) {
        if (now.do === "write") {
          const { at, bytes } = now;
          const grown = new Uint8Array(Math.max(model.length, at + bytes.length));
          grown.set(model);
          grown.set(bytes, at);
          model = grown;
          file.write(bytes, at);
        } else if (now.do === "truncate") {
          const cut = new Uint8Array(now.at);
          cut.set(model.subarray(0, now.at));
          model = cut;
          file.truncate(now.at);
        } else if (now.do === "keep") {
          store.keep(file);
          kept = model;
          assertEquals(whole(store.open()), model);
        } else {
          file.revert();
          model = kept;
        }
        assertEquals(whole(file), model);
      }
      store.keep(file);
      assertEquals(whole(store.open()), model);
      assertEquals(store.blocks.length, Math.ceil(model.length / BLOCK_BYTES));
    }),
    { seed: 42 },
  );
});

test("a read beyond a file's end gives what is there", () => {
  const file = new BlockFile([], 0);
  file.write(new Uint8Array([1, 2, 3]), BLOCK_BYTES - 1);
  const into = new Uint8Array(4);
  assertEquals(file.read(into, BLOCK_BYTES), 2);
  assertEquals(into, new Uint8Array([2, 3, 0, 0]));
  assertEquals(file.read(into, 3 * BLOCK_BYTES), 0);
});
