import type { SqlRow, SqlValue } from "@lakesync/core";
import type { RowFacts } from "../inspect.ts";
import { coalesced } from "./_coalesced.ts";
import { empty, fill, focusIn, h, setText } from "./_dom.ts";
import { explainCell } from "./explain.ts";
import { clientTag, countText, hlcText } from "./_format.ts";
import type { News, Panel, PanelContext } from "./_panel.ts";
import { RowDetail } from "./_row_detail.ts";
import { countSql, type GridColumn, gridColumns, pageSql } from "./_row_pages.ts";
import { VirtualList } from "./_virtual_list.ts";

/** A row of the grid. */
interface GridRow {
  readonly id: string;
  readonly values: SqlRow;
  readonly facts: RowFacts | undefined;
}

/** The tables, their rows with the stamps of each cell, and one row in all detail. */
export class DataPanel implements Panel {
  readonly element: HTMLElement;
  readonly #context: PanelContext;
  readonly #tables = h("div", { class: "tables", role: "tablist", "aria-label": "Tables" });
  readonly #filter = h("input", {
    type: "search",
    placeholder: "Filter rows",
    "aria-label": "Filter rows",
    oninput: coalesced(() => this.#reload()),
  });
  readonly #total = h("span", { class: "dim" });
  readonly #none = h("div", {});
  readonly #list: VirtualList<GridRow>;
  readonly #detail: RowDetail;
  #table: string;
  #columns: readonly GridColumn[] = [];

  constructor(context: PanelContext) {
    this.#context = context;
    this.#table = context.inspection.schemas[0]?.table ?? "";
    this.#detail = new RowDetail(context, () => {
      this.#list.choose(undefined);
      this.#list.element.focus({ preventScroll: true });
    });
    this.#list = new VirtualList<GridRow>({
      label: "Rows",
      rowHeight: 42,
      load: (offset, limit) => this.#load(offset, limit),
      key: ({ id }) => id,
      render: (row, into) => this.#render(row, into),
      chosen: ({ id }) => this.#detail.show(this.#table, id),
    });
    this.element = h(
      "div",
      { class: "data" },
      h(
        "div",
        { class: "grid" },
        h("div", { class: "bar" }, this.#tables, this.#filter, this.#total),
        this.#none,
        this.#list.element,
      ),
      this.#detail.element,
    );
  }

  async refresh({ tables }: News): Promise<void> {
    const all = tables === undefined;
    if (all || this.#columns.length === 0) await this.#readColumns();
    if (all || tables.has(this.#table)) await this.#count();
    await this.#list.refresh();
    await this.#detail.refresh();
  }

  /** Shows one row. */
  async open(table: string, id: string): Promise<void> {
    if (table !== this.#table) await this.#choose(table);
    this.#list.choose(id);
    await this.#detail.show(table, id);
  }

  close(): void {
    this.#list.close();
  }

  async #choose(table: string): Promise<void> {
    this.#table = table;
    this.#filter.value = "";
    this.#detail.hide();
    await this.#reload();
  }

  async #reload(): Promise<void> {
    this.#list.reset();
    await this.refresh({ tables: undefined });
  }

  async #readColumns(): Promise<void> {
    const { inspection, client } = this.#context;
    const tabs = inspection.schemas.map(({ table }) =>
      h("button", {
        role: "tab",
        "aria-selected": String(table === this.#table),
        onclick: () => void this.#choose(table),
      }, table)
    );
    const focused = focusIn(this.#tables) !== undefined;
    fill(this.#tables, ...tabs);
    if (focused) tabs.find((tab) => tab.getAttribute("aria-selected") === "true")?.focus();
    if (this.#table === "") {
      fill(this.#none, empty("No tables", "Declare one with defineTable()"));
      return;
    }
    const rows = await client.query("SELECT name FROM pragma_table_info(?)", [this.#table]);
    const schema = inspection.schemas.find(({ table }) => table === this.#table)!;
    this.#columns = gridColumns(schema, rows.ok ? rows.value.map(({ name }) => `${name}`) : []);
    const { length } = this.#columns;
    const { style } = this.#list.element;
    style.setProperty("--columns", `minmax(0, 1fr) repeat(${length}, minmax(0, 2fr))`);
    style.setProperty("--least", `${9 + 11 * length}rem`);
    const head = [{ name: "id", type: "key" }, ...this.#columns].map(({ name, type }) =>
      h("span", {}, name, h("small", {}, ` ${type}`))
    );
    fill(this.#list.head, ...head);
  }

  async #count(): Promise<void> {
    if (this.#table === "") return;
    const [sql, params] = countSql(this.#table, this.#columns, this.#filter.value);
    const rows = await this.#context.client.query(sql, params);
    if (!rows.ok) return;
    const count = rows.value[0]!.n as number;
    this.#list.count = count;
    setText(this.#total, `${countText(count)} ${count === 1 ? "row" : "rows"}`);
    const hint = this.#filter.value === ""
      ? "What is written here or comes from the gateway shows at once"
      : "No row has this in any of its columns";
    fill(this.#none, count === 0 && empty("No rows", hint));
  }

  async #load(offset: number, limit: number): Promise<readonly GridRow[] | undefined> {
    if (this.#table === "") return [];
    const { client, inspection, received } = this.#context;
    const table = this.#table;
    const page = pageSql(table, this.#columns, { filter: this.#filter.value, offset, limit });
    const rows = await client.query(...page);
    if (!rows.ok) return undefined;
    const ids = rows.value.map(({ id }) => id as string);
    const facts = await inspection.rows(table, { ids });
    if (table !== this.#table) return undefined;
    if (facts.ok) received.remember(table, facts.value);
    return rows.value.map((values, i) => ({
      id: ids[i]!,
      values,
      facts: facts.ok ? facts.value[i] : undefined,
    }));
  }

  #render({ id, values, facts }: GridRow, into: HTMLElement): void {
    const { clientId } = this.#context.client;
    const pending = facts?.own.some(({ state }) => state !== "accepted") === true;
    const cells = this.#columns.map(({ name }) => {
      const value = values[name] ?? null;
      const cell = h("span", { class: "cell" }, cellText(value));
      const winner = facts &&
        explainCell(facts, name).claims.find(({ outcome, claim }) =>
          outcome === "won" && claim.value !== undefined
        )?.claim;
      if (winner !== undefined) {
        const waits = winner.from === "device" && winner.own?.state !== "accepted";
        if (waits) cell.classList.add("pending");
        cell.append(
          h("small", {}, hlcText(winner.hlc), " ", clientTag(winner.clientId, clientId)),
        );
      }
      return cell;
    });
    const state = pending ? "waits to be sent" : "";
    into.append(h("span", { class: "cell id" }, h("b", {}, id), h("small", {}, state)), ...cells);
  }
}

function cellText(value: SqlValue): HTMLElement {
  return value === null ? h("i", {}, "null") : h("span", {}, String(value));
}
