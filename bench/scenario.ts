/** What a scenario is made of. A new one is a file in scenarios/ and a line in scenarios/index.ts. */
import type { Request, Workload } from './load.ts';
import type { Cores } from './machine.ts';
import type { Upstream } from './upstreams/upstream.ts';

/** What one run of the bench shares with all its scenarios. */
export interface Run {
  /** For files that go when the run ends. */
  readonly folder: string;
  readonly cores: Cores;
  /** The checkouts whose gateway is measured: this one, and that of `--against`. */
  readonly checkouts: readonly Checkout[];
}

export interface Checkout {
  /** Of the subject. */
  readonly name: string;
  readonly folder: string;
}

export interface Scenario {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** The subject that the others are divided by. */
  readonly baseline: string;
  /** Starts the upstream, and what else there must be; all of it is ended by `stack`. */
  readonly prepare: (run: Run, stack: AsyncDisposableStack) => Promise<Prepared>;
}

export interface Prepared {
  readonly workload: Workload;
  readonly upstream: Upstream;
  /** In the order of the table. */
  readonly subjects: readonly Subject[];
}

/** One that is measured: a program that takes the workload at a port. */
export interface Subject {
  readonly name: string;
  /** Why it cannot be measured here, and the remedy. */
  readonly missing?: string;
  /** Instead of the workload's, and answered alike. */
  readonly requests?: readonly Request[];
  readonly launch: (port: number) => Promise<Launch>;
}

export interface Launch {
  readonly command: readonly [file: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
}
