/** Marks a file as a LakeSync client's: "LSC1". */
export const APPLICATION_ID = 0x4c534331;

/** So many bytes of a file are looked at. */
export const HEADER_BYTES = 100;

const MAGIC = "SQLite format 3\0";

/**
 * Why a file is not to be opened, judged by its header alone, because SQLite itself would write to
 * a file that it opens.
 *
 * @param header Its first bytes, at most {@linkcode HEADER_BYTES}.
 * @param size Its size in bytes.
 * @returns The reason, or undefined for a client's database or an empty file.
 */
export function foreignReason(header: Uint8Array, size: number): string | undefined {
  if (header.length === 0) return undefined;
  const magic = new TextDecoder("latin1").decode(header.subarray(0, 16));
  if (header.length < HEADER_BYTES || magic !== MAGIC) return "it is not a SQLite database";
  const view = new DataView(header.buffer, header.byteOffset);
  if (view.getUint32(68) !== APPLICATION_ID) return "it belongs to another program";
  const pageSize = view.getUint16(16) === 1 ? 65_536 : view.getUint16(16);
  // Pages that are still in the WAL alone make the file shorter than this only by whole pages.
  if (pageSize < 512 || size % pageSize !== 0) return "it is damaged";
  return undefined;
}
