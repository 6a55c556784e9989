import { fileURLToPath } from 'node:url';
import { relative } from 'node:path';

/** Something that keeps modules from being one schema: where, what, and how to mend it. */
export interface Problem {
  /** `resolvers/orders/orders.graphql:12`, or whatever says best where to look. */
  readonly where: string;
  readonly message: string;
  readonly fix: string;
}

export function formatProblem({ where, message, fix }: Problem): string {
  return `${where}: ${message}. Fix: ${fix}.`;
}

/** A file as people write it: from where they stand. */
export function formatFile(url: URL): string {
  return relative('', fileURLToPath(url));
}
