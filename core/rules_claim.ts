import type { JsonValue } from "./json.ts";

/** What a token says of its bearer. Names come from outside: look only at own properties. */
export type Claims = { readonly [claim: string]: JsonValue };

/**
 * The path of a claim that a filter's value refers to.
 *
 * @param value A filter's value.
 * @returns What stands behind `jwt:`; undefined where the value is no reference or names no claim.
 *
 * @example A nested claim
 * ```ts
 * import { claimPath } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(claimPath("jwt:org.id"), "org.id");
 * assertEquals(claimPath("jwt:"), undefined);
 * ```
 */
export function claimPath(value: unknown): string | undefined {
  if (typeof value !== "string" || !value.startsWith("jwt:")) return undefined;
  const path = value.slice("jwt:".length);
  return path.split(".").includes("") ? undefined : path;
}

/**
 * Finds a claim: one whose name is the whole path (issuers like names with dots), else the one that
 * the path leads to level by level.
 *
 * @param claims The claims.
 * @param path Its path.
 * @returns Its value, or undefined where there is none.
 *
 * @example Both kinds of names
 * ```ts
 * import { claimAt } from "@lakesync/core";
 * import { assertEquals } from "@std/assert";
 *
 * const claims = { org: { id: "acme" }, "https://example.com/plan": "pro" };
 * assertEquals(claimAt(claims, "org.id"), "acme");
 * assertEquals(claimAt(claims, "https://example.com/plan"), "pro");
 * assertEquals(claimAt(claims, "constructor.name"), undefined);
 * ```
 */
export function claimAt(claims: Claims, path: string): JsonValue | undefined {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: JsonValue | undefined = claims;
  for (const name of path.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

function isObject(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
