import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/** The part of `node:crypto` that is used. */
interface NativeHash {
  hash?(algorithm: "sha256", text: string): string;
}

// Asked for in this way a bundler for browsers, which do not have it, leaves it alone.
const native = (globalThis as {
  process?: { getBuiltinModule?(name: "node:crypto"): NativeHash | undefined };
}).process?.getBuiltinModule?.("node:crypto");

/** SHA-256 of a text's UTF-8 as lower-case hex digits, in JavaScript alone. */
export function portableSha256(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}

/** SHA-256 of a text's UTF-8 as lower-case hex digits: the runtime's own, where it has one at once. */
export const sha256Hex: (text: string) => string = native?.hash === undefined
  ? portableSha256
  : (text) => native.hash!("sha256", text);
