/** What the figures depend on besides the subject: cores, tools, their versions, and who else was at work. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

export interface Cores {
  /** Of the load generator and the upstreams. */
  readonly load: number;
  /** Of the subject. */
  readonly subject: number;
}

/** The first and the last core that this process may use. @throws {Error} where there is but one */
export function chooseCores(): Cores {
  const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
  const [load, subject] = [/^\d+/.exec(allowed), /\d+$/.exec(allowed)].map((match) => Number(match![0]));
  if (load === subject) throw new Error('The bench needs two cores: one for the subject, one for the load on it.');
  return { load: load!, subject: subject! };
}

const tools = [
  { name: 'wrk', package: 'wrk', why: 'makes the load' },
  { name: 'nginx', package: 'nginx-light', why: 'is the upstream of every subject, and a subject' },
  { name: 'taskset', package: 'util-linux', why: 'pins processes to cores' },
];

/** What is missing on this machine, each as a sentence with its remedy. */
export function missingTools(): string[] {
  if (process.platform !== 'linux') return ['The bench reads CPU times from /proc, so it runs on Linux only.'];
  return tools
    .filter(({ name }) => spawnSync(name, ['-v'], { stdio: 'ignore' }).error)
    .map((tool) => `${tool.name}, which ${tool.why}, is not installed: apt-get install -y ${tool.package}`);
}

/** Machine class and versions: what stands above the tables. */
export function describeMachine(): string {
  const wrk = /wrk \S*?([\d.]+)/.exec(output('wrk'))?.[1];
  const nginx = /nginx\/(\S+)/.exec(output('nginx'))?.[1];
  return `${availableParallelism()} cores, ${process.arch}; Node ${process.versions.node}, nginx ${nginx}, wrk ${wrk}`;
}

function output(tool: string): string {
  const { stdout, stderr } = spawnSync(tool, ['-v'], { encoding: 'utf8' });
  return stdout + stderr;
}
