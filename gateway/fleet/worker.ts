/**
 * One of several processes that are one gateway. It is started by the primary (`fleet.ts`), does what that asks, and has no
 * will of its own: signals that a terminal or a service manager sends to all processes are for the primary to act on.
 */
import type { Port } from './channel.ts';
import { WorkerProcess } from './worker-process.ts';

if (!isForked(process))
  throw new Error('This is a part of `weir start`, which runs it where listen.workers is above 1.');
const worker = new WorkerProcess(process);

// A terminal sends these to every process in it.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => worker.leave());

process.on('disconnect', () => void worker.end());

function isForked(own: NodeJS.Process): own is NodeJS.Process & Port {
  return own.send !== undefined;
}
