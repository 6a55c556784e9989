import type { Meter } from '#core/meter.ts';
import { version } from '#gateway/version.ts';
import type { Reloads } from './reload.ts';

/** What a gateway is and what it was told, once for all of its processes. */
export function observeGateway(meter: Meter, reloads: Reloads): void {
  meter.observe(
    'weir.build.info',
    { kind: 'gauge', unit: '{gateway}', description: 'Always 1; the labels say what runs.' },
    (report) => report(1, { 'service.version': version, 'process.runtime.version': process.version }),
  );
  meter.observe(
    'weir.config.reloads',
    { kind: 'counter', unit: '{reload}', description: 'Attempts to load the configuration again, by outcome.' },
    (report) => {
      const { applied, refused } = reloads.counts;
      report(applied, { 'weir.reload.outcome': 'applied' });
      report(refused, { 'weir.reload.outcome': 'refused' });
    },
  );
  meter.observe(
    'weir.config.last_reload.successful',
    {
      kind: 'gauge',
      unit: '{reload}',
      description: '0 where the last attempt to load the configuration was refused, so that a restart would fail.',
    },
    (report) => report(Number(reloads.status().lastAttempt?.ok !== false), {}),
  );
  meter.observe(
    'weir.config.applied.time',
    {
      kind: 'gauge',
      unit: 's',
      description: 'When the configuration in force took over, in seconds since 1970, by its hash.',
    },
    (report) => {
      const { appliedAt, hash } = reloads.status();
      report(Date.parse(appliedAt) / 1000, { 'weir.config.hash': hash });
    },
  );
}
