import { urlOf } from '#gateway/gateway.ts';
import { createGateway, listen, untilSignal } from '#gateway/lifecycle.ts';
import { openProject } from '#gateway/project.ts';
import type { Arguments } from './arguments.ts';
import { banner } from './banner.ts';
import type { Terminal } from './terminal.ts';
import { unmetAuth } from './unmet-auth.ts';

/** Runs the gateway until a signal ends it. */
export async function start(args: Arguments, terminal: Terminal): Promise<number> {
  const gateway = createGateway(await openProject(args));
  const addresses = await listen(gateway);
  const address = urlOf(addresses.address, gateway.project.loaded.config.listen.tls !== undefined);
  if (process.stdout.isTTY) terminal.out(banner(gateway, addresses));
  else gateway.telemetry.log.info({ address, admin: urlOf(addresses.admin) }, 'listening');
  const { assembly, project, telemetry } = gateway;
  for (const warning of unmetAuth(project.loaded, assembly.execution?.schema)) telemetry.log.warn({ warning }, 'auth');
  await untilSignal(gateway);
  return 0;
}
