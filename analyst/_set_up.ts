import { type JsonTexts, mergeMacros } from "./_merge.ts";
import { MOMENT_MACRO } from "./_moments.ts";

/** The statements that make a new DuckDB ready for an analyst's queries. */
export function setUpSql(texts: JsonTexts): readonly string[] {
  return [...mergeMacros(texts), MOMENT_MACRO];
}
