import type { GatewayConfig } from '#gateway/config/schema.ts';
import type { Project } from '#gateway/project.ts';

/** Parts that are read once: sockets are bound, exporters connected, and code is loaded. */
const fixed = ['listen', 'admin', 'telemetry', 'redis', 'modules'] as const satisfies readonly (keyof GatewayConfig)[];

export type FixedParts = Pick<GatewayConfig, (typeof fixed)[number]> & {
  readonly cache: Pick<GatewayConfig['cache'], 'redis'>;
};

export function fixedPartsOf({ loaded: { config } }: Project): FixedParts {
  const { listen, admin, telemetry, redis, modules, cache } = config;
  return { listen, admin, telemetry, redis, modules, cache: { redis: cache.redis } };
}

/** The project as far as it can take over from what runs, and the keys that wait for a restart. Values are never told. */
export function withFixedParts(next: Project, running: FixedParts): { project: Project; needsRestart: string[] } {
  const { loaded } = next;
  const { config } = loaded;
  const needsRestart = fixed.flatMap((part) => differences(part, config[part], running[part]));
  // Of the store only this much.
  const cache = { ...config.cache, ...running.cache };
  needsRestart.push(...differences('cache', config.cache, cache));
  return { project: { ...next, loaded: { ...loaded, config: { ...config, ...running, cache } } }, needsRestart };
}

function differences(path: string, next: unknown, running: unknown): string[] {
  if (!isRecord(next) || !isRecord(running)) return JSON.stringify(next) === JSON.stringify(running) ? [] : [path];
  const keys = new Set([...Object.keys(next), ...Object.keys(running)]);
  return [...keys].flatMap((key) => differences(`${path}.${key}`, next[key], running[key]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
