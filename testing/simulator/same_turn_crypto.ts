/**
 * Signing and verifying by HMAC within the turn of the event loop that asks for it. The runtimes do it
 * on threads of their own, whose answers come in whatever turn: no seed with tokens would replay.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

const { subtle } = globalThis.crypto;
const secrets: WeakMap<CryptoKey, Uint8Array> = new WeakMap();

const importKey = subtle.importKey.bind(subtle) as (...args: unknown[]) => Promise<CryptoKey>;
const sign = subtle.sign.bind(subtle);
const verify = subtle.verify.bind(subtle);

function hmac(key: CryptoKey, data: BufferSource): Uint8Array | undefined {
  const secret = secrets.get(key);
  if (secret === undefined) return undefined;
  return createHmac("sha256", secret).update(bytesOf(data)).digest();
}

function bytesOf(data: BufferSource): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

Object.assign(subtle, {
  async importKey(...args: unknown[]): Promise<CryptoKey> {
    const key = await importKey(...args);
    const { hash } = key.algorithm as { hash?: { name?: string } };
    if (args[0] === "raw" && key.algorithm.name === "HMAC" && hash?.name === "SHA-256") {
      secrets.set(key, bytesOf(args[1] as BufferSource).slice());
    }
    return key;
  },
  async sign(...args: Parameters<typeof sign>): Promise<ArrayBuffer> {
    const made = hmac(args[1], args[2]);
    if (made === undefined) return await sign(...args);
    return new Uint8Array(made).buffer;
  },
  async verify(...args: Parameters<typeof verify>): Promise<boolean> {
    const made = hmac(args[1], args[3]);
    if (made === undefined) return await verify(...args);
    const given = bytesOf(args[2]);
    return given.length === made.length && timingSafeEqual(given, made);
  },
});
