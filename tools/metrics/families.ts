import { Fleet } from '#gateway/fleet/fleet.ts';
import { Gateway } from '#gateway/gateway.ts';
import { openProject } from '#gateway/project.ts';
import { withUnit } from '#gateway/telemetry/prometheus.ts';
import type { FamilySnapshot } from '#gateway/telemetry/meter.ts';

/** A metric as it is registered. */
export interface MetricFamily {
  readonly name: string;
  /** As `/metrics` calls it. */
  readonly prometheus: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit: string;
  readonly description: string;
}

/** Something of everything that registers metrics. Nothing listens, and nothing is called. */
const config = `listen: { port: 0 }
admin: { port: 0 }
upstreams:
  users: { endpoints: [http://127.0.0.1:1] }
  orders: { endpoints: [http://127.0.0.1:1] }
  catalog: { endpoints: [http://127.0.0.1:1] }
  reviews: { endpoints: [http://127.0.0.1:1] }
routes: [{ path: /x, upstream: users, fallback: { status: 200 }, mirror: orders }]
redis: { url: redis://127.0.0.1:1 }
telemetry: { log: silent }
`;

/** All metrics that a gateway registers, in one process or in several, by name. */
export async function registeredFamilies(): Promise<readonly MetricFamily[]> {
  const project = await openProject({ text: config, modules: 'resolvers', env: {} });
  const gateways = [new Gateway(project), new Fleet(project, 2)];
  const families = new Map(
    gateways.flatMap(({ telemetry }) => telemetry.snapshot().families.map((family) => [family.name, familyOf(family)])),
  );
  await Promise.all(gateways.map(({ telemetry }) => telemetry.shutdown()));
  return [...families.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function familyOf({ name, kind: own, unit, description }: FamilySnapshot): MetricFamily {
  const kind = own === 'level' ? 'gauge' : own;
  const spelt = withUnit(name, unit, own === 'gauge').replaceAll('.', '_');
  const prometheus = kind === 'counter' ? `${spelt}_total` : spelt;
  return { name, prometheus, kind, unit, description };
}
