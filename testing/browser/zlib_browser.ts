/** `node:zlib` in a page: nothing of what the lake's reader names is there, nor needed for changelogs. */

/** Of deletion vectors, which current rows have. */
export function crc32(): never {
  throw new Error("A page has no node:zlib");
}
