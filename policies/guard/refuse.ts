import { WeirError } from '#core/errors.ts';

/** What could be read in two ways. Nothing that follows on its connection is read at all. */
export function refuse(detail: string): WeirError {
  return new WeirError('BAD_REQUEST', { detail, headers: { connection: 'close' } });
}
