/** How things look: buttons, badges, stamps, cells, claims. */
export const PARTS_CSS: string = `
button, input, select {
  font: inherit; color: inherit; border: 1px solid var(--line); border-radius: 7px; background: var(--bg);
  padding: 4px 10px; min-width: 0;
}
button { cursor: pointer; white-space: nowrap; }
.tabs button, .tables button { flex: none; }
button:hover:not(:disabled) { border-color: var(--accent); }
button:disabled { opacity: .45; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.list:focus-visible { outline-offset: -2px; }
.icon { border-color: transparent; background: none; padding: 4px 8px; }
.link { border: 0; background: none; padding: 0; font-weight: 600; overflow: hidden; text-overflow: ellipsis; }
.link:hover { color: var(--accent); }
.tabs button, .tables button { border-color: transparent; background: none; color: var(--dim); }
.tabs button[aria-selected="true"], .tables button[aria-selected="true"] {
  color: var(--text); background: var(--bg); border-color: var(--line); font-weight: 600;
}
.tables button[aria-selected="true"] { background: var(--raised); }
.count {
  margin-left: 6px; padding: 0 6px; border-radius: 9px; font-size: 11px; font-weight: 600;
  background: color-mix(in srgb, var(--accent) 18%, transparent); color: var(--accent);
}
[data-tab="rejected"] .count { background: color-mix(in srgb, var(--bad) 18%, transparent); color: var(--bad); }
.dot { width: 9px; height: 9px; border-radius: 50%; background: var(--tone); flex: none; }
.state { color: var(--tone); font-weight: 600; white-space: nowrap; }
h3 { margin: 0; font-size: 14px; overflow-wrap: anywhere; }
p { margin: 6px 0; }
i { font-style: normal; color: var(--dim); }
small { font-size: 11px; }
time, code, .cell, dd { font-family: var(--mono); font-size: 12px; font-variant-numeric: tabular-nums; }
.dim { color: var(--dim); }
.row:hover { background: var(--raised); }
.row[aria-selected="true"] { background: color-mix(in srgb, var(--accent) 12%, var(--bg)); }
.list:focus-visible .row.cursor { box-shadow: inset 3px 0 var(--accent); }
.cell { overflow: hidden; min-width: 0; }
.cell > span, .cell > b, .cell > i, .cell > small { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.cell > b { font-weight: 500; }
.cell > small { color: var(--dim); }
.cell.pending > span::before, .cell.pending > i::before { content: "● "; color: var(--wait); }
.cell.id > small { color: var(--wait); }
.grid .head > span { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.grid .head small { font-weight: 400; color: var(--dim); }
.flash { animation: flash 1s ease-out; }
@keyframes flash { from { background: color-mix(in srgb, var(--good) 26%, var(--bg)); } }
.badge {
  --tint: var(--dim); font-size: 11px; font-weight: 600; padding: 1px 7px; border-radius: 6px; white-space: nowrap;
  color: var(--tint); background: color-mix(in srgb, var(--tint) 14%, transparent); flex: none;
}
.row.event > .badge { min-width: 58px; text-align: center; }
.log .badge { min-width: 78px; text-align: center; }
.badge.insert, .badge.good { --tint: var(--good); }
.badge.update { --tint: var(--accent); }
.badge.delete, .badge.gone, .badge.bad { --tint: var(--bad); }
.badge.wait { --tint: var(--wait); }
.stamp { display: inline-flex; align-items: center; gap: 7px; white-space: nowrap; }
.stamp time { color: var(--dim); font-size: 11px; }
.client {
  --ink: light-dark(hsl(var(--hue) 65% 34%), hsl(var(--hue) 75% 76%)); font-size: 11px; font-weight: 600;
  color: var(--ink); background: color-mix(in srgb, var(--ink) 13%, transparent);
  padding: 0 6px; border-radius: 6px; font-family: var(--sans);
}
.client.you { color: var(--bg); background: var(--accent); }
.way { font-size: 15px; font-weight: 700; width: 1em; text-align: center; flex: none; }
.way.own { color: var(--wait); } .way.got { color: var(--accent); }
.changes { color: var(--dim); font-size: 12px; }
.changes code { color: var(--text); }
.column { color: var(--dim); }
.what b { font-weight: 600; }
.times { color: var(--dim); margin-left: auto; }
.log li > span:nth-child(3) { min-width: 0; overflow-wrap: anywhere; }
.log .error b, .log .rejected b { color: var(--bad); font-family: var(--mono); font-size: 12px; }
.card { border: 1px solid var(--line); border-radius: 10px; padding: 12px; background: var(--raised); display: grid; gap: 8px; align-content: start; min-width: 0; }
.card > * { min-width: 0; margin: 0; }
.card .changes { overflow-wrap: anywhere; }
.card .bar { padding: 0; }
.card .said { flex-wrap: wrap; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 5px 14px; margin: 0; }
dt { color: var(--dim); } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
meter { width: 100%; height: 12px; }
.life { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; }
details { border-top: 1px solid var(--line); }
summary { display: grid; grid-template-columns: 1fr auto; gap: 3px 10px; padding: 8px 0; cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary .column::before { content: "▸ "; display: inline-block; width: 1.1em; }
details[open] summary .column::before { content: "▾ "; }
summary .value { grid-row: 2; grid-column: 1 / -1; padding-left: 1.4em; font-weight: 500; }
.value { overflow-wrap: anywhere; white-space: pre-wrap; max-height: 12em; overflow: auto; }
.value.null { color: var(--dim); }
.why { padding: 2px 0 10px 1.2em; }
.why > p { margin: 0 0 8px; }
.why ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; }
.why li { border-left: 3px solid var(--line); padding: 4px 0 4px 10px; display: grid; gap: 3px; }
.why li > div { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 8px; }
.why li small { color: var(--dim); overflow-wrap: anywhere; }
.why li.won { border-color: var(--good); }
.why li.lost .value, .why li.past .value { color: var(--dim); text-decoration: line-through; }
.said-to p {
  margin: 0; padding: 8px 14px; border-radius: 9px; background: var(--text); color: var(--bg);
  animation: said 5s forwards; text-align: center;
}
@keyframes said { 0% { opacity: 0; translate: 0 6px; } 4%, 88% { opacity: 1; translate: 0 0; } 100% { opacity: 0; visibility: hidden; } }
@media (prefers-reduced-motion: reduce) { .flash { animation: none; } }
`;
