import type { LogSeq } from "../log_seq.ts";
import { Malformed, safeNumber } from "./_decoding.ts";
import type { Seq } from "./sync_pb.ts";

/** The protobuf of a position. */
export function seqToProto(seq: LogSeq): Seq {
  if (typeof seq === "number") {
    return { $typeName: "lakesync.v1.Seq", seq: BigInt(seq), shards: [] };
  }
  const shards = Object.entries(seq).map(([shard, seq]) => ({
    $typeName: "lakesync.v1.ShardSeq" as const,
    shard,
    seq: BigInt(seq),
  }));
  return { $typeName: "lakesync.v1.Seq", seq: 0n, shards };
}

/** The JSON of a position's protobuf. Throws {@linkcode Malformed}. */
export function seqFromProto(seq: Seq | undefined): LogSeq {
  if (seq === undefined) throw new Malformed("it has no seq");
  if (seq.shards.length === 0) return safeNumber(seq.seq);
  // fromEntries defines own properties, whatever a shard is called.
  return Object.fromEntries(seq.shards.map(({ shard, seq }) => [shard, safeNumber(seq)]));
}
