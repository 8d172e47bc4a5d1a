/** A program in a Markdown text. */
export interface Program {
  /** The line of the text that it starts on, from 1. */
  line: number;
  source: string;
  /** What it must print, where the text says so. */
  output: string | undefined;
}

/** The `ts run` fences of a text, each with the `text output` fence that follows it. */
export function readPrograms(markdown: string): Program[] {
  const fences = [...markdown.matchAll(/^(`{3,})([^\n`]*)\n([\s\S]*?)^\1[ \t]*$/gm)]
    .map((match) => ({
      info: match[2]!.trim().split(/\s+/).join(" "),
      text: match[3]!,
      line: markdown.slice(0, match.index).split("\n").length + 1,
    }));
  return fences.flatMap(({ info, text, line }, index) => {
    if (!/^ts run( |$)/.test(info)) return [];
    const next = fences[index + 1];
    const output = next !== undefined && /^text output( |$)/.test(next.info)
      ? next.text
      : undefined;
    return [{ line, source: text, output }];
  });
}
