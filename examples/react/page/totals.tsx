import type { ReactNode } from "react";
import { useQuery } from "@lakesync/client/react";
import { bySpecies, sums } from "./queries.ts";

/** Sums over all sightings, which follow each change from whichever device. */
export function Totals(): ReactNode {
  const [sum] = useQuery(sums).rows;
  const { rows: species } = useQuery(bySpecies);
  const most = Number(species[0]?.birds ?? 1);
  const numbers: [string, number][] = [
    ["birds", Number(sum?.birds ?? 0)],
    ["species", species.length],
    ["places", Number(sum?.places ?? 0)],
  ];
  return (
    <>
      <dl className="sums">
        {numbers.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value.toLocaleString("en-GB")}</dd>
          </div>
        ))}
      </dl>
      <h2>By species</h2>
      <ol className="bars">
        {species.map(({ species, birds }) => (
          <li key={species}>
            <span>{species}</span>
            <output>{Number(birds)}</output>
            <meter min={0} max={most} value={Number(birds)} aria-label={`${species}: ${birds}`} />
          </li>
        ))}
      </ol>
    </>
  );
}
