import type { JsonValue, SqlParameter } from "@lakesync/core";

/** A query as the API takes it. */
export interface BigQueryQuery {
  readonly query: string;
  readonly queryParameters: readonly JsonValue[];
}

/**
 * Statements as one query with named parameters: positional ones would have to be counted over a
 * whole script. A `?` within `UNNEST(?)` is a list of texts, given as JSON.
 */
export class QueryBuilder {
  readonly #parameters: JsonValue[] = [];
  #text = "";

  /** Puts in text, in which each `?` stands for the next parameter. */
  add(text: string, parameters: readonly SqlParameter[] = []): this {
    let i = 0;
    this.#text += text.replaceAll(/(\bUNNEST\()?\?/g, (_, list: string | undefined) => {
      const name = `p${this.#parameters.length}`;
      this.#parameters.push(parameterOf(name, parameters[i++]!, list !== undefined));
      return `${list ?? ""}@${name}`;
    });
    if (i !== parameters.length) {
      throw new TypeError(`A statement has ${i} places and ${parameters.length} parameters`);
    }
    return this;
  }

  /** What was put in. */
  build(): BigQueryQuery {
    return { query: this.#text, queryParameters: this.#parameters };
  }
}

function parameterOf(name: string, value: SqlParameter, list: boolean): JsonValue {
  if (list) {
    const values = JSON.parse(value as string) as string[];
    return {
      name,
      parameterType: { type: "ARRAY", arrayType: { type: "STRING" } },
      parameterValue: { arrayValues: values.map((value) => ({ value })) },
    };
  }
  const type = typeof value !== "number" ? "STRING" : Number.isInteger(value) ? "INT64" : "FLOAT64";
  return {
    name,
    parameterType: { type },
    parameterValue: { value: value === null ? null : String(value) },
  };
}
