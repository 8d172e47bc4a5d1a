import { XMLParser } from "fast-xml-parser";

/** What S3 answers with: parsed, with every value as text. */
interface XmlNode {
  readonly [name: string]: XmlNode | string | readonly (XmlNode | string)[] | undefined;
}

// Values stay texts: a key "007" is no number. Entities of our own are off: an answer is no program.
const parser = new XMLParser({
  parseTagValue: false,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  processEntities: true,
});

/** The root's contents, or undefined where the text is not of this kind. */
export function parseXml(text: string, root: string): XmlNode | undefined {
  try {
    const found = (parser.parse(text) as XmlNode)[root];
    if (found === "") return {};
    return typeof found === "object" && !Array.isArray(found) ? found as XmlNode : undefined;
  } catch {
    return undefined;
  }
}

/** The elements of this name, whether there are none, one or many. */
export function nodes(parent: XmlNode, name: string): readonly XmlNode[] {
  const found = parent[name];
  const list = Array.isArray(found) ? found : found === undefined ? [] : [found];
  return list.filter((node): node is XmlNode => typeof node === "object");
}

/** The text of an element, or undefined where there is none. */
export function textOf(parent: XmlNode, name: string): string | undefined {
  const found = parent[name];
  return typeof found === "string" ? found : undefined;
}

/** A text as it stands in an element. */
export function escapeXml(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
