import { inspect } from '#gateway/assembly.ts';
import { describedVersions, describeRoutes } from '#gateway/contract/contract.ts';
import { openProject } from '#gateway/project.ts';
import type { Arguments } from './arguments.ts';
import type { Terminal } from './terminal.ts';

/** Prints the OpenAPI document of the REST routes, the contract with their clients. */
export async function printOpenapi(args: Arguments, terminal: Terminal): Promise<number> {
  const project = await openProject(args);
  const { routes, documents } = inspect(project);
  const { config } = project.loaded;
  const known = describedVersions(config, routes);
  const { of } = args;
  if (of !== undefined && !known.includes(of)) {
    terminal.err(`There is no version ${of}: known are ${known.join(', ') || 'none'}.\n`);
    return 1;
  }
  const document = describeRoutes(config, routes, documents, of);
  terminal.out(`${JSON.stringify(document, undefined, 2)}\n`);
  return 0;
}
