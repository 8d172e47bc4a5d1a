/**
 * The rules of this project's house that no general linter knows: which package may import which,
 * that time, chance, timers and logs come through ports, and where a runtime's own API may be named.
 *
 * Deno loads it for `deno lint` by "lint.plugins" in the root's `deno.json`.
 */
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url)).replaceAll("\\", "/");

/** Packages between `core` and what is put together from them; these never import each other. */
const MIDDLE = /^(client|gateway|analyst|adapters\/[^/]+)$/;

/** What only tests may import: it isn't published. */
const TEST_ONLY = /^(@lakesync\/testing|@std\/assert|fast-check)(\/|$)/;

/** What is replaced by a port, and by which. */
const PORTED_MEMBERS: ReadonlyMap<string, string> = new Map([
  ["Date.now", "Clock"],
  ["performance.now", "Clock"],
  ["Math.random", "Random"],
  ["AbortSignal.timeout", "Scheduler"],
]);
const PORTED_GLOBALS: ReadonlyMap<string, string> = new Map([
  ["setTimeout", "Scheduler"],
  ["setInterval", "Scheduler"],
  ["setImmediate", "Scheduler"],
  ["console", "Logger"],
]);

interface Place {
  /** The file's path from the root, with slashes. */
  path: string;
  /** The folder of its package; empty for the root package. */
  folder: string;
  isTest: boolean;
}

/** Where a file stands, or undefined for one outside this workspace. */
function placeOf(filename: string): Place | undefined {
  const absolute = filename.replace(/^file:\/\//, "").replaceAll("\\", "/");
  if (!absolute.startsWith(ROOT)) return undefined;
  const path = absolute.slice(ROOT.length);
  return { path, folder: folderOf(path), isTest: /(_test\.tsx?$)|(^|\/)testdata\//.test(path) };
}

function folderOf(path: string): string {
  return /^(adapters\/[^/]+|[^/]+)\//.exec(path)?.[1] ?? "";
}

function isLibrary(folder: string): boolean {
  return folder === "core" || MIDDLE.test(folder);
}

/** The fault of an import of `specifier` at a place, in words, or undefined. */
function layerFault(specifier: string, place: Place): string | undefined {
  if (specifier.startsWith(".")) {
    // Resolved against a root of its own, where "too far up" can't be mistaken for a package.
    const target = decodeURIComponent(new URL(specifier, `file:///root/${place.path}`).pathname);
    const folder = target.startsWith("/root/")
      ? folderOf(target.slice("/root/".length))
      : undefined;
    if (folder === place.folder) return undefined;
    return `Relative import "${specifier}" leaves its package`;
  }
  if (/^(file:|\/)/.test(specifier)) return `Absolute import "${specifier}"`;
  const published = isLibrary(place.folder) || place.folder === "deploy" || place.folder === "";
  if (published && !place.isTest && TEST_ONLY.test(specifier)) {
    return `"${specifier}" is for tests only`;
  }
  const name = /^@lakesync\/([^/]+)/.exec(specifier)?.[1];
  if (name === undefined || !isLibrary(place.folder) || TEST_ONLY.test(specifier)) return undefined;
  if (place.folder === "core") return `core imports no other package, so not "${specifier}" either`;
  return name === "core" ? undefined : `${place.folder} imports no package but @lakesync/core`;
}

/** Calls `check` with each specifier that a file imports or re-exports from. */
function eachImport(
  check: (specifier: string, node: Deno.lint.Node) => void,
): Deno.lint.LintVisitor {
  const literal = (node: Deno.lint.Node | null): void => {
    if (node?.type === "Literal" && typeof node.value === "string") check(node.value, node);
  };
  return {
    ImportDeclaration: (node) => literal(node.source),
    ExportNamedDeclaration: (node) => literal(node.source),
    ExportAllDeclaration: (node) => literal(node.source),
    ImportExpression: (node) => literal(node.source),
    TSImportType({ argument }) {
      if (argument.type === "TSLiteralType") literal(argument.literal);
    },
  };
}

/** Whether an identifier stands for a value, and isn't just the name of a field. */
function isReference(node: Deno.lint.Identifier): boolean {
  const is = (other: Deno.lint.Node): boolean => other.range[0] === node.range[0];
  const { parent } = node;
  switch (parent.type) {
    case "MemberExpression":
      return parent.computed || !is(parent.property);
    case "Property":
      return parent.computed || parent.shorthand || !is(parent.key);
    case "MethodDefinition":
    case "PropertyDefinition":
    case "TSPropertySignature":
    case "TSMethodSignature":
      return parent.computed || !is(parent.key);
    case "TSTypeQuery":
      return false;
    default:
      return true;
  }
}

/** `a.b` as text, for a member expression on a plain name. */
function memberText(node: Deno.lint.MemberExpression): string | undefined {
  const { object, property } = node;
  if (object.type !== "Identifier") return undefined;
  if (property.type === "Identifier" && !node.computed) return `${object.name}.${property.name}`;
  if (property.type === "Literal") return `${object.name}.${property.value}`;
  return undefined;
}

const layers: Deno.lint.Rule = {
  create(context) {
    const place = placeOf(context.filename);
    if (place === undefined) return {};
    return eachImport((specifier, node) => {
      const message = layerFault(specifier, place);
      if (message === undefined) return;
      const hint =
        "Meet in a port of core/ports.ts; import other packages by name, own files by ./";
      context.report({ node, message, hint });
    });
  },
};

const noJsr: Deno.lint.Rule = {
  create(context) {
    return eachImport((specifier, node) => {
      if (!/^(jsr:|https?:\/\/jsr\.io\/)/.test(specifier)) return;
      const hint = 'Take an npm package, by an alias in "imports" of the root deno.json';
      context.report({ node, message: `Import "${specifier}" is from JSR`, hint });
    });
  },
};

const ports: Deno.lint.Rule = {
  create(context) {
    const place = placeOf(context.filename);
    if (place === undefined || !isLibrary(place.folder) || place.isTest) return {};
    if (place.path === "core/system.ts") return {};
    const report = (node: Deno.lint.Node, name: string, port: string): void => {
      const hint = `Take a ${port} (core/ports.ts) from the caller`;
      context.report({ node, message: `${name} in library code`, hint });
    };
    return {
      MemberExpression(node) {
        const text = memberText(node)?.replace(/^(globalThis|self|window)\./, "");
        if (text === undefined) return;
        const port = PORTED_MEMBERS.get(text) ?? PORTED_GLOBALS.get(text);
        if (port !== undefined) report(node, text, port);
      },
      NewExpression(node) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "Date") return;
        if (node.arguments.length === 0) report(node, "new Date()", "Clock");
      },
      CallExpression(node) {
        if (node.callee.type !== "Identifier" || node.callee.name !== "Date") return;
        report(node, "Date()", "Clock");
      },
      Identifier(node) {
        const port = PORTED_GLOBALS.get(node.name);
        if (port !== undefined && isReference(node)) report(node, node.name, port);
      },
    };
  },
};

const runtimeGlobals: Deno.lint.Rule = {
  create(context) {
    const place = placeOf(context.filename);
    if (place === undefined || !(isLibrary(place.folder) || place.folder === "testing")) return {};
    const runtime = /_(deno|bun|browser)(_test)?\.tsx?$/.exec(place.path)?.[1];
    const report = (node: Deno.lint.Node, name: string): void => {
      if (runtime === name.toLowerCase()) return;
      const hint =
        `Use a web standard or a node: builtin, or move it into a file *_${name.toLowerCase()}.ts`;
      context.report({ node, message: `${name} API in a file for every runtime`, hint });
    };
    return {
      Identifier(node) {
        if ((node.name === "Deno" || node.name === "Bun") && isReference(node)) {
          report(node, node.name);
        }
      },
      MemberExpression(node) {
        const name = /^(?:globalThis|self|window)\.(Deno|Bun)$/.exec(memberText(node) ?? "")?.[1];
        if (name !== undefined) report(node, name);
      },
      ...eachImport((specifier, node) => {
        if (specifier === "bun" || specifier.startsWith("bun:")) report(node, "Bun");
      }),
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "lakesync",
  rules: { layers, "no-jsr": noJsr, ports, "runtime-globals": runtimeGlobals },
};
export default plugin;
