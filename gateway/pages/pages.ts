import { Router } from 'express';
import { contractPages, type SentContracts } from './contract-pages.ts';
import { errorPages } from './error-pages.ts';

/** Everything that the gateway serves of its own to whoever reads. */
export function pages(contract: () => SentContracts | undefined): Router {
  return Router().use(errorPages()).use(contractPages(contract));
}
