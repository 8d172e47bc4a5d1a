/** The demo's tables, and how the records of `npm:vega-datasets` become rows of them. */
import {
  defineTable,
  type InsertOf,
  integer,
  type JsonValue,
  number,
  type SourceChange,
  string,
  timestamp,
} from "@lakesync/core";

/** US airports: `airports.csv`, 3,376 rows. A device brings them in. */
export const airports = defineTable("airports", {
  name: string(),
  city: string(),
  state: string(),
  country: string(),
  latitude: number(),
  longitude: number(),
});

/** Flights: `flights-200k.json`, 231,083 rows. A source brings them in. It does not say where they went. */
export const flights = defineTable("flights", {
  delay: integer(),
  distance: integer(),
  time: number(),
});

/** Departures with their route: `flights-20k.json`, 20,000 rows. A source brings them in. */
export const departures = defineTable("departures", {
  date: timestamp(),
  delay: integer(),
  distance: integer(),
  origin: string(),
  destination: string(),
});

/** An airport of the CSV file as a row. */
export function airportRow(
  record: Readonly<Record<string, string | undefined>>,
): InsertOf<typeof airports> {
  const { iata = "", name = "", city = "", state = "", country = "" } = record;
  const [latitude, longitude] = [Number(record["latitude"]), Number(record["longitude"])];
  return { id: iata, name, city, state, country, latitude, longitude };
}

/** A JSON object. */
type JsonRecord = { readonly [name: string]: JsonValue };

/** A record of `flights-200k.json` as a row; its place in the file is its key. */
export function flightChange(record: JsonValue, index: number): SourceChange {
  return upsert("flights", `f${String(index).padStart(6, "0")}`, record as JsonRecord);
}

/** A record of `flights-20k.json` as a row; its date is written `2001/01/01 00:47`. */
export function departureChange(record: JsonValue, index: number): SourceChange {
  const { date, ...rest } = record as JsonRecord;
  const text = `${String(date).replaceAll("/", "-").replace(" ", "T")}:00.000000Z`;
  return upsert("departures", `d${String(index).padStart(5, "0")}`, { ...rest, date: text });
}

function upsert(table: string, rowId: string, columns: JsonRecord): SourceChange {
  return { op: "upsert", table, rowId, columns: new Map(Object.entries(columns)) };
}
