/** Where things stand: the dock, its bars, lists, the grid and its detail; and on a phone. */
export const LAYOUT_CSS: string = `
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.root { font: 13px/1.4 var(--sans); color: var(--text); }
.root[data-tone="good"] { --tone: var(--good); }
.root[data-tone="wait"] { --tone: var(--wait); }
.root[data-tone="bad"] { --tone: var(--bad); }
.launcher, .dock { z-index: 2147483000; }
.launcher {
  position: fixed; right: 16px; bottom: max(16px, env(safe-area-inset-bottom));
  display: flex; align-items: center; gap: 8px; padding: 8px 14px; border-radius: 999px;
  background: var(--bg); box-shadow: 0 2px 12px rgb(0 0 0 / .22); font-weight: 600;
}
.dock {
  position: fixed; left: 0; right: 0; bottom: 0; height: 44vh; min-height: 160px; max-height: 100dvh;
  display: flex; flex-direction: column; background: var(--bg);
  border-top: 1px solid var(--line); box-shadow: 0 -6px 24px rgb(0 0 0 / .14);
  padding-bottom: env(safe-area-inset-bottom);
}
.edge {
  position: absolute; left: 0; right: 0; top: -5px; height: 10px; cursor: ns-resize; touch-action: none;
}
.edge::after {
  content: ""; position: absolute; left: calc(50% - 22px); top: 4px; width: 44px; height: 3px;
  border-radius: 3px; background: var(--line);
}
.edge:hover::after, .edge:focus-visible::after { background: var(--accent); }
.top {
  display: flex; align-items: center; gap: 10px; padding: 6px 12px;
  border-bottom: 1px solid var(--line); background: var(--raised);
}
.name { display: flex; align-items: center; gap: 8px; white-space: nowrap; }
.tabs { display: flex; gap: 2px; overflow-x: auto; scrollbar-width: none; }
.grow { flex: 1; }
.body { flex: 1; min-height: 0; display: flex; }
.stack { flex: 1; min-width: 0; display: flex; flex-direction: column; }
.bar { display: flex; align-items: center; gap: 8px; padding: 8px 12px; min-width: 0; }
.stack > .bar, .grid > .bar { border-bottom: 1px solid var(--line); }
.data { flex: 1; min-width: 0; display: flex; }
.grid { flex: 1; min-width: 0; display: flex; flex-direction: column; }
.tables { display: flex; gap: 2px; overflow-x: auto; flex: 1; min-width: 0; }
.list { flex: 1; min-height: 0; overflow: auto; outline-offset: -2px; overscroll-behavior: contain; }
.space { position: relative; }
.row {
  position: absolute; left: 0; width: 100%; padding: 0 12px;
  border-bottom: 1px solid var(--line); cursor: pointer; contain: layout style;
}
.grid .row, .grid .head {
  display: grid; grid-template-columns: var(--columns); column-gap: 12px; align-items: center;
  width: 100%; min-width: var(--least);
}
.grid .head {
  position: sticky; top: 0; z-index: 1; padding: 5px 12px; background: var(--raised);
  border-bottom: 1px solid var(--line);
}
.head:empty { display: none; }
.row.event { display: flex; align-items: center; gap: 10px; }
.what { flex: 1; min-width: 0; display: flex; flex-direction: column; }
.what > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.said { display: flex; align-items: center; gap: 8px; white-space: nowrap; }
.detail {
  width: min(430px, 46%); overflow: auto; border-left: 1px solid var(--line); padding: 10px 14px 20px;
  overscroll-behavior: contain;
}
.detail > header { display: flex; align-items: start; justify-content: space-between; gap: 8px; }
.cards {
  flex: 1; overflow: auto; padding: 12px; display: grid; gap: 12px; align-content: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr));
}
.log { flex: 1; overflow: auto; margin: 0; padding: 0; list-style: none; }
.log li { display: flex; gap: 10px; align-items: baseline; padding: 6px 12px; border-bottom: 1px solid var(--line); }
.empty { display: grid; gap: 4px; justify-items: center; padding: 36px 16px; color: var(--dim); text-align: center; }
.cards > .empty { grid-column: 1 / -1; }
.said-to { position: absolute; left: 50%; bottom: 18px; translate: -50% 0; pointer-events: none; max-width: 92%; }
@media (max-width: 640px) {
  .dock { height: 72dvh; }
  .top { flex-wrap: wrap; row-gap: 4px; }
  .top .tabs { order: 9; flex-basis: 100%; }
  .top .tabs button { padding: 8px 10px; }
  .data { position: relative; }
  .detail { position: absolute; inset: 0; width: auto; border: 0; background: var(--bg); z-index: 2; }
  .grid > .bar { flex-wrap: wrap; }
  .grid > .bar .tables { flex-basis: 100%; }
  .bar input { flex: 1; }
  .row.event { gap: 8px; }
  .row.event .stamp { flex-direction: column; align-items: end; gap: 1px; }
  .row.event .said .badge, .row.event > time, .row.event .said > small { display: none; }
  button { min-height: 34px; }
}
`;
