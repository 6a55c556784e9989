/** Every subject that is a Node program runs alike: on this Node, with the new space that Weir's own start has. */
import type { Launch } from '../scenario.ts';

export function node(...args: string[]): Launch['command'] {
  return [process.execPath, '--max-semi-space-size=64', ...args];
}
