import type { Logger } from '#core/log.ts';

/**
 * Goes on after a promise has failed that nobody waits for, as `const a = get(1), b = get(2); return [await a, await b]` of a
 * module forgets `b` when `a` fails. By itself Node ends the process then, with every request in it, for a defect of one.
 */
export function outliveForgottenPromises(log: Logger): void {
  process.on('unhandledRejection', (err) => log.error({ err }, 'a promise failed that nobody waits for'));
}
