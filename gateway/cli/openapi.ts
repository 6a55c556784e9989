import { inspect } from '#gateway/assembly.ts';
import { describeRoutes } from '#gateway/contract/contract.ts';
import { openProject } from '#gateway/project.ts';
import type { Arguments } from './arguments.ts';
import type { Terminal } from './terminal.ts';

/** Prints the OpenAPI document of the REST routes, the contract with their clients. */
export async function printOpenapi(args: Arguments, terminal: Terminal): Promise<number> {
  const project = await openProject(args);
  const { routes, documents } = inspect(project);
  const document = describeRoutes(project.loaded.config, routes, documents);
  terminal.out(`${JSON.stringify(document, undefined, 2)}\n`);
  return 0;
}
