import {
  memo,
  type ReactNode,
  Suspense,
  useDeferredValue,
  useEffect,
  useRef,
  useState,
} from "react";
import { useLakeSync, useMutation, useSuspenseQuery } from "@lakesync/client/react";
import { type Sighting, sightingsWith } from "./queries.ts";
import type { Tables } from "../tables.ts";

/** The search field and what it finds. */
export function Sightings(): ReactNode {
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <div className="search">
        <input
          ref={field}
          type="search"
          aria-label="Search species and places"
          placeholder="Search species and places"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <kbd aria-hidden="true">/</kbd>
      </div>
      <Suspense fallback={<p className="empty">Reading…</p>}>
        <Found text={wanted} />
      </Suspense>
    </>
  );
}

function Found({ text }: { text: string }): ReactNode {
  const rows = useSuspenseQuery(sightingsWith(text));
  if (rows.length === 0) {
    return (
      <p className="empty">
        {text === ""
          ? "Nothing seen yet. Add the first one above."
          : `Nothing with “${text}” in it.`}
      </p>
    );
  }
  const days = Map.groupBy(rows, ({ seen }) => new Date(seen).toDateString());
  return [...days].map(([day, rows]) => (
    <section key={day} className="day" aria-label={dayOf(day)}>
      <h2>{dayOf(day)}</h2>
      <ul>{rows.map((row) => <Row key={row.id} row={row} />)}</ul>
    </section>
  ));
}

/** Is rendered again only where its row changed: rows that did not are the same objects. */
const Row = memo(function Row({ row }: { row: Sighting }): ReactNode {
  const { id, species, place, seen } = row;
  const count = Number(row.count);
  const { sightings } = useLakeSync<Tables>().tables;
  const change = useMutation((count: number) => sightings.update(id, { count }));
  const remove = useMutation(() => sightings.delete(id));
  const error = change.error ?? remove.error;
  return (
    <li>
      <div className="what">
        <strong>{species}</strong>
        <span>
          {place} · <time dateTime={seen}>{timeOf(seen)}</time>
        </span>
        {error && <span role="alert">{error.message}</span>}
      </div>
      <div className="stepper" role="group" aria-label={`Count of ${species}`}>
        <button
          type="button"
          aria-label="One fewer"
          disabled={count <= 1}
          onClick={() => void change.mutate(count - 1)}
        >
          −
        </button>
        <output>{count}</output>
        <button type="button" aria-label="One more" onClick={() => void change.mutate(count + 1)}>
          +
        </button>
      </div>
      <button
        type="button"
        className="remove"
        aria-label={`Remove ${species}`}
        onClick={({ currentTarget }) => {
          neighbour(currentTarget)?.focus();
          void remove.mutate();
        }}
      >
        ×
      </button>
    </li>
  );
});

/** The button of the same kind in the next row, so that the keyboard does not lose its place. */
function neighbour(button: HTMLButtonElement): HTMLElement | undefined {
  const all = [...document.querySelectorAll<HTMLButtonElement>(".remove")];
  const at = all.indexOf(button);
  return all[at + 1] ?? all[at - 1];
}

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function dayOf(day: string): string {
  const days = Math.round((Date.parse(new Date().toDateString()) - Date.parse(day)) / 86_400_000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(new Date(day));
}

function timeOf(seen: string): string {
  return TIME.format(new Date(seen));
}
