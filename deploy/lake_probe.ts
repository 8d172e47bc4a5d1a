import { type Destination, ok, type Result } from "@lakesync/core";

/** Asks a bucket whether it can be a lake. */
export type Probe = () => Promise<Result<void>>;

/** A probe that is not made again once it went well. */
export function probedOnce(probe: Probe): Probe {
  let well = false;
  return async () => {
    if (well) return ok(undefined);
    const probed = await probe();
    well = probed.ok;
    return probed;
  };
}

/** A destination that is probed before something is written to it; as it is without a probe. */
export function writtenWhenProbed(
  destination: Destination,
  probe: Probe | undefined,
): Destination {
  if (probe === undefined) return destination;
  return {
    name: destination.name,
    watermarks: (tables) => destination.watermarks(tables),
    async write(batch) {
      const probed = await probe();
      return probed.ok ? await destination.write(batch) : probed;
    },
  };
}
