/** A service as a process of its own: address from the environment, one line when it is up, gone when told to go. */
import type { Address, Running } from './server.ts';
import type { ServiceName } from './shop.ts';

export async function run(service: ServiceName, start: (address: Address) => Promise<Running>): Promise<void> {
  let running: Running;
  try {
    running = await start(addressFrom(process.env));
  } catch (error) {
    process.stderr.write(`${service}: ${reason(error)}\n`);
    process.exit(1);
  }

  let leaving = false;
  const leave = (): void => {
    if (leaving) return;
    leaving = true;
    void running.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
  if (process.env['EXIT_WITH_PARENT'] === '1') {
    // The pipe ends with whoever holds the other end, however it died; no signal is needed for that.
    process.stdin.on('end', leave).on('error', leave).resume();
  }

  process.stdout.write(`${JSON.stringify({ msg: 'listening', service, url: running.url })}\n`);
}

function addressFrom({ HOST, PORT }: NodeJS.ProcessEnv): Address {
  if (PORT && !(/^\d{1,5}$/.test(PORT) && Number(PORT) <= 65_535)) {
    throw new Error(`PORT must be a number, 0 to 65535, and is ${JSON.stringify(PORT)}`);
  }
  return { ...(HOST && { host: HOST }), ...(PORT && { port: Number(PORT) }) };
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, address, port }: Error & { code?: string; address?: string; port?: number } = error;
  return code === 'EADDRINUSE' ? `port ${port} of ${address} is taken by another process` : error.message;
}
