import type { SqlValue } from "@lakesync/core";
import type { WASM_API } from "@sqlite.org/sqlite-wasm";

type Pointer = number;

/** The least room for parameters, in bytes; what is larger than it is given back. */
const ROOM = 64 * 1024;

/** Up to so many characters a loop is faster than the encoder and the decoder. */
const SHORT = 40;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Writes a statement's parameters to WebAssembly's memory, one after the other into a room that is
 * used again for the next statement, and reads values from it.
 */
export class WasmMemory {
  /** How many bytes the last value written has. */
  written = 0;
  readonly #wasm: WASM_API;
  #room: Pointer = 0;
  #size = 0;
  #next = 0;

  constructor(wasm: WASM_API) {
    this.#wasm = wasm;
  }

  /** Makes room for parameters; those of before are gone. */
  reserve(params: readonly SqlValue[]): void {
    let bytes = 0;
    for (const value of params) {
      if (typeof value === "string") bytes += value.length * 3;
      else if (value instanceof Uint8Array) bytes += value.length;
    }
    this.#next = 0;
    if (bytes <= this.#size && (this.#size === ROOM || bytes > ROOM)) return;
    this.free();
    const size = Math.max(ROOM, bytes);
    this.#room = this.#wasm.alloc(size);
    this.#size = size;
  }

  /** Gives its room back. */
  free(): void {
    if (this.#size > 0) this.#wasm.dealloc(this.#room);
    this.#size = 0;
  }

  /** Writes a text; its place. */
  writeText(text: string): Pointer {
    const at = this.#room + this.#next;
    const heap = this.#wasm.heap8u();
    const { length } = text;
    let i = 0;
    if (length <= SHORT) {
      for (; i < length; i++) {
        const unit = text.charCodeAt(i);
        if (unit > 0x7f) break;
        heap[at + i] = unit;
      }
    }
    this.written = i === length
      ? length
      : encoder.encodeInto(text, heap.subarray(at, at + length * 3)).written;
    this.#next += this.written;
    return at;
  }

  /** Writes bytes; their place. */
  writeBytes(bytes: Uint8Array): Pointer {
    const at = this.#room + this.#next;
    this.#wasm.heap8u().set(bytes, at);
    this.written = bytes.length;
    this.#next += bytes.length;
    return at;
  }

  /** Reads a text of so many bytes. */
  text(at: Pointer, length: number): string {
    const heap = this.#wasm.heap8u();
    if (length <= SHORT) {
      let text = "";
      let i = 0;
      for (; i < length; i++) {
        const byte = heap[at + i]!;
        if (byte > 0x7f) break;
        text += String.fromCharCode(byte);
      }
      if (i === length) return text;
    }
    return decoder.decode(heap.subarray(at, at + length));
  }

  /** Copies bytes out. */
  bytes(at: Pointer, length: number): Uint8Array {
    return this.#wasm.heap8u().slice(at, at + length);
  }

  /** Reads a text up to its NUL. */
  cString(at: Pointer): string {
    return at === 0 ? "" : this.text(at, this.#wasm.heap8u().indexOf(0, at) - at);
  }

  /** The pointer that stands at a place. */
  pointerAt(at: Pointer): Pointer {
    return this.#wasm.peekPtr(at);
  }

  /** Calls with C strings and with a place for one pointer, all of which are gone afterwards. */
  within<T>(
    texts: readonly (string | undefined)[],
    call: (texts: readonly Pointer[], out: Pointer) => T,
  ): T {
    const out = this.#wasm.alloc(8);
    const pointers = texts.map((text) =>
      text === undefined ? 0 : this.#wasm.allocCString(text, false)
    );
    try {
      this.#wasm.pokePtr(out, 0);
      return call(pointers, out);
    } finally {
      for (const pointer of [...pointers, out]) this.#wasm.dealloc(pointer);
    }
  }
}
