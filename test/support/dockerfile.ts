export interface Instruction {
  readonly name: string;
  /** What follows the name, continuation lines joined. */
  readonly text: string;
}

export interface Stage {
  readonly name: string;
  /** An image, or the name of an earlier stage. */
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile, first to last; as much of the format as this project uses. */
export function parseDockerfile(text: string): readonly Stage[] {
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  const lines = text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n');
  for (const line of lines.filter((candidate) => candidate.trim() !== '')) {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined) throw new Error(`not an instruction: ${line}`);
    if (name === 'FROM') {
      const [, from, as] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      if (from === undefined || as === undefined) throw new Error(`a stage without a name: ${line}`);
      stages.push({ name: as, from, instructions: [] });
    } else {
      const stage = stages.at(-1);
      if (!stage) throw new Error(`before the first stage: ${line}`);
      stage.instructions.push({ name, text: rest });
    }
  }
  return stages;
}

/** A stage's own instructions after those of the stages that it stands on. */
export function lineage(stages: readonly Stage[], name: string): readonly Instruction[] {
  const stage = stages.find((candidate) => candidate.name === name);
  return stage ? [...lineage(stages, stage.from), ...stage.instructions] : [];
}

/** `COPY [--from=STAGE] SOURCE... TARGET` */
export function parseCopy(text: string): { from: string | undefined; sources: string[]; target: string } {
  const words = text.split(/\s+/);
  const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
  const target = words.pop();
  if (target === undefined || words.length === 0) throw new Error(`COPY needs a source and a target: ${text}`);
  return { from, sources: words, target };
}

/** The exec form, `["node", "x"]`; the shell form would hide the program behind a shell that eats signals. */
export function parseExec(text: string): string[] {
  const start = text.indexOf('[');
  if (start < 0) throw new Error(`not the exec form: ${text}`);
  return JSON.parse(text.slice(start)) as string[];
}
