import { systemClock, type Clock } from '#core/clock.ts';
import type { Problem } from '#schema/problem.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Module } from './module.ts';
import { ModuleRuntime, whereIs } from './runtime.ts';

/** A loader, found by the names of its module and its own. */
export interface LoaderOfModule {
  readonly runtime: ModuleRuntime;
  readonly loader: string;
  /** That its module's fields name for it, else the only one that the module has. */
  readonly upstream: string | undefined;
}

/** The modules of a gateway, made ready to run. */
export class ModuleRuntimes {
  readonly all: readonly ModuleRuntime[];
  readonly problems: readonly Problem[];

  /** @param upstreams by name; every upstream of a module must be among them */
  constructor(modules: readonly Module[], upstreams: ReadonlyMap<string, Upstream>, clock: Clock = systemClock) {
    const problems: Problem[] = [];
    this.all = modules.flatMap((module) => startModule(module, upstreams, clock, problems) ?? []);
    this.problems = problems;
  }

  get(module: string): ModuleRuntime | undefined {
    return this.all.find((runtime) => runtime.module.name === module);
  }

  /** @param name such as `users.byId`, of module and loader */
  loader(name: string): LoaderOfModule | undefined {
    const dot = name.indexOf('.');
    const runtime = this.get(name.slice(0, dot));
    const loader = name.slice(dot + 1);
    if (!runtime?.loaderSizes.has(loader)) return undefined;
    const own = Object.keys(runtime.module.upstreams);
    return {
      runtime,
      loader,
      upstream: runtime.upstreamOfLoader.get(loader) ?? (own.length === 1 ? own[0] : undefined),
    };
  }

  /** The names of all loaders, for whoever has mistaken one. */
  get loaders(): readonly string[] {
    return this.all.flatMap(({ module, loaderSizes }) =>
      [...loaderSizes.keys()].map((name) => `${module.name}.${name}`),
    );
  }
}

function startModule(
  module: Module,
  upstreams: ReadonlyMap<string, Upstream>,
  clock: Clock,
  problems: Problem[],
): ModuleRuntime | undefined {
  const where = whereIs(module);
  const own = Object.keys(module.upstreams).flatMap((name) => {
    const upstream = upstreams.get(name);
    if (upstream) return [upstream];
    problems.push({
      where,
      message: `the upstream '${name}' has no endpoints`,
      fix: `add upstreams.${name}.endpoints to gateway.yaml`,
    });
    return [];
  });
  try {
    return new ModuleRuntime(module, own, clock);
  } catch (error) {
    problems.push({ where, message: (error as Error).message, fix: 'correct the module' });
    return undefined;
  }
}
