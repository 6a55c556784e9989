import type { Run } from '../scenario.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** 1 KiB of JSON. */
export const fixedAnswer = JSON.stringify({ id: '1', name: 'A product', text: '' }).replace(
  '""}',
  `"${'x'.repeat(1024 - 41)}"}`,
);

/** Answers every request with the same kilobyte, whatever was asked and sent. */
export function startFixedUpstream(run: Run, stack: AsyncDisposableStack): Promise<Upstream> {
  return startUpstream(run, stack, { locations: `    location / { return 200 '${fixedAnswer}'; }` });
}
