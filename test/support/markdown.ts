/** A fenced block of a Markdown document (CommonMark §4.5). */
export interface Block {
  /** The info string: `sh background`, `yaml gateway.yaml`. */
  readonly info: string;
  readonly text: string;
  /** Of the fence, counted from 1. */
  readonly line: number;
  /** The prose between the block before and this one. */
  readonly prose: string;
}

export function fencedBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let end = 0;
  for (const fence of markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)) {
    const prose = markdown.slice(end, fence.index);
    end = fence.index + fence[0].length;
    blocks.push({ info: fence[1]!, text: fence[2]!, line: markdown.slice(0, fence.index).split('\n').length, prose });
  }
  return blocks;
}

/** What stands below a heading, up to the next of its level. */
export function section(markdown: string, heading: string): string {
  const [, after] = markdown.split(`\n## ${heading}\n`);
  if (after === undefined) throw new Error(`there is no section '${heading}'`);
  return after.split('\n## ')[0]!;
}

/** Where its links lead, in the order they stand. */
export function linksOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```.*\n[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)|<(https?:[^>\s]+)>/g)].map(([, link, url]) => link ?? url!);
}
