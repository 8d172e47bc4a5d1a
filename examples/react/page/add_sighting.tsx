import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { useLakeSync, useMutation, useQuery } from "@lakesync/client/react";
import { db } from "./queries.ts";
import type { Tables } from "../tables.ts";

const species = db.selectFrom("sightings").select("species").distinct().orderBy("species");
const places = db.selectFrom("sightings").select("place").distinct().orderBy("place");

/** The form that adds a sighting; what was seen before is offered. */
export function AddSighting(): ReactNode {
  const { sightings } = useLakeSync<Tables>().tables;
  const add = useMutation((row: { species: string; count: number; place: string }) =>
    sightings.insert({ ...row, seen: new Date() })
  );
  const [name, setName] = useState("");
  const [place, setPlace] = useState("");
  const [count, setCount] = useState(1);
  const first = useRef<HTMLInputElement>(null);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const added = await add.mutate({ species: name.trim(), count, place: place.trim() });
    if (!added.ok) return;
    setName("");
    setCount(1);
    first.current?.focus();
  };
  return (
    <form className="add" onSubmit={(event) => void submit(event)}>
      <label className="species">
        <span>Species</span>
        <input
          ref={first}
          list="species"
          required
          maxLength={80}
          placeholder="What did you see?"
          autoComplete="off"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <label className="place">
        <span>Place</span>
        <input
          list="places"
          required
          maxLength={80}
          placeholder="Where?"
          autoComplete="off"
          value={place}
          onChange={(event) => setPlace(event.target.value)}
        />
      </label>
      <label className="count">
        <span>Count</span>
        <input
          type="number"
          required
          min={1}
          max={9999}
          inputMode="numeric"
          value={count}
          onChange={(event) => setCount(event.target.valueAsNumber || 1)}
        />
      </label>
      <button type="submit" className="primary" disabled={add.pending}>Add</button>
      {add.error && <p role="alert">{add.error.message}</p>}
      <datalist id="species">
        {useQuery(species).rows.map(({ species }) => <option key={species} value={species} />)}
      </datalist>
      <datalist id="places">
        {useQuery(places).rows.map(({ place }) => <option key={place} value={place} />)}
      </datalist>
    </form>
  );
}
