import { type Plant, plant } from "./plant.ts";

/** Bugs in rules, tokens, streams and rejections. */
export const RULE_PLANTS: readonly Plant[] = [
  plant(
    "rules judge the delta, not the row",
    "gateway/page.ts",
    'const is = after === "alive" && sees(entry, judged?.after);',
    'const is = after === "alive" &&\n' +
      "    sees(entry, parse(entry).columns.map(({ column, value }) => [column, value]));",
  ),
  plant(
    "REMOVE is left out",
    "gateway/page.ts",
    "  if (!is) {\n",
    '  if (!is) {\n    if (after !== "dead") return undefined;\n',
  ),
  plant(
    "the cursor's digest is without the filters",
    "gateway/caller_view.ts",
    "viewDigest(this.#params, this.#rules?.canonical)",
    "viewDigest(this.#params, undefined)",
  ),
  plant(
    "a checkpoint has all rows",
    "gateway/checkpoint_view.ts",
    "tables: tables.value, sees })",
    "tables: tables.value, sees: undefined })",
  ),
  plant(
    "ENTER has the row as later transactions of its push leave it",
    "gateway/working_rows.ts",
    "state: enters ? cloneRow(state) : undefined",
    "state: enters ? state : undefined",
  ),
  plant(
    "write rules judge the row only after the change",
    "gateway/rules_write.ts",
    "const refusal = refusalOf(delta, touch.state, { ...found, seen: false });",
    "const refusal = undefined;",
  ),
  plant(
    "write rules judge the row only before the change",
    "gateway/rules_write.ts",
    "refusalOf(deltas[last]!, state, { ...left, seen: true });",
    "undefined;",
  ),
  plant(
    "an UPDATE of a row that is not there is taken where rules hold",
    "gateway/rules_write.ts",
    "if (!isVisible(touch.state)) return",
    'if (delta.op === "DELETE" && !isVisible(touch.state)) return',
  ),
  plant(
    "entries are not found by the value that they take away",
    "gateway/rules_facts.ts",
    "for (const facts of [judged?.before, judged?.after]) {",
    "for (const facts of [judged?.after]) {",
  ),
  plant(
    "a page that was made by rules of before goes out",
    "gateway/caller_view.ts",
    "if (inForce.value === this.#inForce) return ok(true);",
    "if (this.#params !== undefined) return ok(true);",
  ),
  plant(
    "an absent value is not equal to anything, so neq lets it through",
    "core/rules_match.ts",
    "if (value === undefined || value === null) return false;",
    'if (value === undefined || value === null) return op === "neq";',
  ),
  plant(
    "a claim of another type is coerced",
    "core/rules_resolve.ts",
    "  for (const value of operands) {\n",
    '  for (const value of operands.map((one) => type === "integer" ? Number(one) : one)) {\n',
  ),
  plant(
    "a bucket whose claim is missing lets everything through",
    "core/rules_resolve.ts",
    "      if (resolved === undefined) return undefined;\n      filters.push(resolved);\n",
    "      if (resolved !== undefined) filters.push(resolved);\n",
  ),
  plant(
    "any change of the rules asks everybody for a checkpoint",
    "gateway/caller_view.ts",
    "if (rules?.canonical !== this.#rules?.canonical)",
    "if (rules !== this.#rules)",
  ),
  plant(
    "a token that has expired is good",
    "gateway/auth.ts",
    "currentDate: new Date(clock.now()),",
    "currentDate: new Date(0),",
  ),
  plant(
    "a stream goes on after its token has expired",
    "gateway/expiry.ts",
    "if (caller.sub === undefined) return false;",
    "if (clock !== undefined) return false;",
  ),
  plant(
    "a rejected change leaves no dead letter",
    "client/_outbox.ts",
    "    refusals.map(({ flying, code, message }) => [\n",
    '    refusals.filter(({ code }) => code !== "FORBIDDEN_WRITE").map(({ flying, code, message }) => [\n',
  ),
  plant(
    "a rejected change is not undone",
    "client/_outbox.ts",
    "  await showTouched(tx, options.tables, touched);\n",
    "",
  ),
  plant(
    "REMOVE leaves the row in the base",
    "client/_apply_page.ts",
    '    case "REMOVE":\n      base.get(item.table)?.set(item.rowId, undefined);\n',
    '    case "REMOVE":\n',
  ),
];
