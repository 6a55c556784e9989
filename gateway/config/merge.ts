import { dirname, resolve } from 'node:path';
import type { RouteInput } from '#gateway/rest/settings.ts';
import type { UpstreamInput } from '#upstreams/settings.ts';
import { childOf, isList, isMap, nodeOf, type ConfigNode, type Origin } from './node.ts';
import { locate, type Problem } from './problem.ts';

/** What a loaded module brings to the configuration. */
export interface ModuleDefaults {
  readonly name: string;
  /** The module's own file; relative paths in it start there, and problems name it. */
  readonly file?: string | undefined;
  readonly upstreams: Readonly<Record<string, Partial<UpstreamInput>>>;
  readonly routes: readonly RouteInput[];
}

interface Merged {
  readonly root: ConfigNode;
  readonly problems: readonly Problem[];
}

/**
 * Lays the file over what modules bring: maps merge, lists and values replace. Routes are one table, so those of modules
 * are added to the file's.
 */
export function merge(file: ConfigNode, modules: readonly ModuleDefaults[]): Merged {
  if (!isMap(file.content)) return { root: file, problems: [] };
  const problems: Problem[] = [];
  const upstreams = new Map<string, ConfigNode>();
  const routes: ConfigNode[] = [];
  for (const module of modules) {
    const origin = originOf(module);
    for (const [name, settings] of Object.entries(module.upstreams)) {
      const other = upstreams.get(name);
      if (other) {
        const message = `is defined by ${other.origin.label} and ${origin.label}`;
        problems.push(
          locate(origin, `upstreams.${name}`, { message, fix: 'keep it in one module, or give it two names' }),
        );
      } else {
        upstreams.set(name, nodeOf(settings, origin));
      }
    }
    routes.push(...module.routes.map((route) => nodeOf(route, origin)));
  }
  const content = new Map(file.content);
  if (upstreams.size > 0)
    content.set('upstreams', overlay({ content: upstreams, origin: file.origin }, content.get('upstreams')));
  const own = childOf(file, 'routes');
  if (routes.length > 0 && (own === undefined || isList(own.content))) {
    const written = own && isList(own.content) ? own.content : [];
    content.set('routes', { content: [...written, ...routes], origin: (own ?? file).origin });
  }
  return { root: { ...file, content }, problems };
}

function originOf({ name, file }: ModuleDefaults): Origin {
  const label = `module ${name}`;
  return { label, file: file ?? label, directory: file === undefined ? resolve() : dirname(resolve(file)) };
}

function overlay(base: ConfigNode, over: ConfigNode | undefined): ConfigNode {
  if (over === undefined) return base;
  if (!isMap(base.content) || !isMap(over.content)) return over;
  const content = new Map(base.content);
  for (const [key, child] of over.content) {
    const beneath = content.get(key);
    content.set(key, beneath ? overlay(beneath, child) : child);
  }
  return { ...over, content };
}
