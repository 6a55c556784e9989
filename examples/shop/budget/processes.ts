import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface RunningProcess {
  /** The first line that says that it is ready. */
  readonly ready: string;
  signal(name: NodeJS.Signals): void;
  /** Ends it, also where it is stopped, and waits until it is gone. */
  end(): Promise<void>;
}

/** @throws {Error} with what it said, when it ends before it is ready or cannot be started */
export async function startProcess(
  [file, ...args]: readonly [string, ...string[]],
  isReady: (line: string) => boolean,
): Promise<RunningProcess> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const keep = (line: string) => (said = `${said}${line}\n`.slice(-4_000));
  createInterface({ input: child.stderr }).on('line', keep);
  const gone = once(child, 'close');
  const ready = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      keep(line);
      if (isReady(line)) resolve(line);
    });
    child.once('error', reject);
    gone.then(
      () => reject(new Error(`${file} ended before it was ready:\n${said}`)),
      () => {},
    );
  });
  return {
    ready,
    signal: (name) => void child.kill(name),
    async end() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        child.kill('SIGCONT');
      }
      await gone;
    },
  };
}

/** Runs a command to its end. @returns its exit status, and all that it printed */
export async function runProcess(
  [file, ...args]: readonly [string, ...string[]],
  cwd: string,
): Promise<{ readonly status: number | null; readonly text: string }> {
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, text };
}
