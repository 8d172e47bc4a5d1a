const utf8 = new TextEncoder();

/** Bytes that grow while they are written. */
export class ByteSink {
  #bytes: Uint8Array = new Uint8Array(1024);
  #view: DataView = new DataView(this.#bytes.buffer);
  #length = 0;

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** What was written; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** One byte. */
  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** These bytes. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** A 64-bit float, little endian. */
  float64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** A 32-bit float, little endian. */
  float32(value: number): void {
    this.#reserve(4);
    this.#view.setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  /** A zigzag varint of 64 bits. */
  long(value: bigint): void {
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  /** A text as UTF-8 behind its length. */
  text(value: string): void {
    const bytes = utf8.encode(value);
    this.long(BigInt(bytes.length));
    this.raw(bytes);
  }

  #reserve(size: number): void {
    const needed = this.#length + size;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads bytes from the front. Everything throws a `RangeError` where too few are left. */
export class ByteSource {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  /** One byte. */
  byte(): number {
    return this.#bytes[this.#take(1)]!;
  }

  /** That many bytes, a view of the source. */
  raw(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A 64-bit float, little endian. */
  float64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** A 32-bit float, little endian. */
  float32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }

  /** A zigzag varint of at most 64 bits. */
  long(): bigint {
    let bits = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      bits |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (bits >> 64n !== 0n) break;
        return BigInt.asIntN(64, (bits >> 1n) ^ -(bits & 1n));
      }
    }
    throw new RangeError("a number is longer than 64 bits");
  }

  /** A {@linkcode long} that counts things or bytes. */
  count(): number {
    const value = this.long();
    if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`a count is ${value}`);
    }
    return Number(value);
  }

  /** A text as UTF-8 behind its length. */
  text(): string {
    return strictUtf8.decode(this.raw(this.count()));
  }

  #take(length: number): number {
    if (length > this.left) {
      throw new RangeError(`${length} bytes are wanted where ${this.left} are left`);
    }
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}
