/** The app: opens the database, and shows its parts. */
import { Component, type ReactNode, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import type { ClientOptions } from "@lakesync/client";
import { registerAppShell } from "@lakesync/client/app-shell";
import { LakeSyncProvider } from "@lakesync/client/react";
import { type Tables, tables } from "../tables.ts";
import { AddSighting } from "./add_sighting.tsx";
import { Sightings } from "./sightings.tsx";
import { SyncSwitch } from "./sync_switch.tsx";
import { Totals } from "./totals.tsx";

const device = new URLSearchParams(location.search).get("device") ?? "1";

const options: ClientOptions<Tables> = {
  tables,
  database: `sightings-${device}`,
  url: location.origin,
  worker: () => new Worker("lakesync-worker.js", { type: "module" }),
  wasmUrl: "sqlite3.wasm",
};

function App(): ReactNode {
  return (
    <>
      <header>
        <img src="icon.svg" alt="" width="40" height="40" />
        <h1>
          Sightings <small>Device {device}</small>
        </h1>
        <SyncSwitch />
      </header>
      <main>
        <section className="log" aria-label="Sightings">
          <AddSighting />
          <Sightings />
        </section>
        <aside aria-label="Totals">
          <Totals />
        </aside>
      </main>
      <footer>
        All of it is in this browser's own SQLite.{" "}
        <a href={`?device=${device === "1" ? "2" : "1"}`} target="_blank" rel="noreferrer">
          Open another device
        </a>{" "}
        and go offline in one of them.
      </footer>
    </>
  );
}

/** Says why the database cannot be opened, or a query failed. */
class Fault extends Component<{ children: ReactNode }, { error: Error | undefined }> {
  override state: { error: Error | undefined } = { error: undefined };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return (
      <div className="whole" role="alert">
        <p>{error.message}</p>
        <button type="button" onClick={() => this.setState({ error: undefined })}>Try again</button>
      </div>
    );
  }
}

// From the second visit on the app opens without a network; a newer version shows once all tabs are closed.
void registerAppShell("service-worker.js");

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Fault>
      <Suspense fallback={<p className="whole" role="status">Opening the database…</p>}>
        <LakeSyncProvider options={options}>
          <App />
        </LakeSyncProvider>
      </Suspense>
    </Fault>
  </StrictMode>,
);
