import { entriesAt, isMap, itemsAt, nodeAt, type ConfigNode, type ConfigPath } from './node.ts';
import { problemAt, type Problem } from './problem.ts';
import { describeValue } from './secrets.ts';
import { suggest } from './suggest.ts';

/**
 * Checks what one part says of another: names that nothing defines, names used twice, upstreams without an address. It
 * reads the tree and not the parsed configuration, so that a typo elsewhere does not hide what is wrong here.
 */
export function checkReferences(root: ConfigNode): Problem[] {
  const upstreams = entriesAt(root, ['upstreams']);
  const names = upstreams.map(([name]) => name);
  const routes = itemsAt(root, ['routes']);
  return [
    ...upstreams.flatMap(([name, upstream]) => checkEndpoints(root, name, upstream, names)),
    ...routes.flatMap((_, index) => [
      ...checkUpstream(root, ['routes', index, 'upstream'], names),
      ...checkUpstream(root, ['routes', index, 'mirror'], names),
      ...checkUpstream(root, ['routes', index, 'mirror', 'upstream'], names),
      ...entriesAt(root, ['routes', index, 'aggregate', 'parts']).flatMap(([part]) =>
        checkUpstream(root, ['routes', index, 'aggregate', 'parts', part, 'upstream'], names),
      ),
      ...itemsAt(root, ['routes', index, 'split']).flatMap((_share, share) =>
        checkUpstream(root, ['routes', index, 'split', share, 'upstream'], names),
      ),
      ...checkReplaced(root, index, routes),
      ...checkName(root, index, routes),
    ]),
    ...itemsAt(root, ['slo']).flatMap((_, index) => [
      ...checkObjectiveName(root, index),
      ...checkObjectiveRoutes(root, index, routes),
    ]),
  ];
}

function checkEndpoints(root: ConfigNode, name: string, upstream: ConfigNode, names: readonly string[]): Problem[] {
  if (!isMap(upstream.content)) return [];
  if (upstream.content.has('endpoints') && upstream.content.has('discovery')) {
    const finding = {
      message: 'stands beside endpoints',
      fix: 'decide where addresses come from: remove one of the two',
    };
    return [problemAt(root, ['upstreams', name, 'discovery'], finding, 'key')];
  }
  if (upstream.content.has('endpoints') || upstream.content.has('discovery')) return [];
  const others = names.filter((other) => other !== name);
  const meant = suggest(name, others);
  const remedy = `write where it runs under upstreams.${name}: endpoints: ["http://HOST:PORT"]`;
  const fix = meant ? `${remedy}; or did you mean the upstream ${meant}?` : remedy;
  return [problemAt(root, ['upstreams', name, 'endpoints'], { message: 'is missing', fix })];
}

function checkUpstream(root: ConfigNode, path: ConfigPath, upstreams: readonly string[]): Problem[] {
  const named = textAt(root, path);
  if (!named || upstreams.includes(named.text)) return [];
  const meant = suggest(named.text, upstreams);
  const fix = meant ? `did you mean ${meant}?` : 'write it under upstreams, with its endpoints, or correct the name';
  return [problemAt(root, path, { message: `names ${named.shown} as its upstream, which nothing defines`, fix })];
}

function checkReplaced(root: ConfigNode, index: number, routes: readonly ConfigNode[]): Problem[] {
  const path: ConfigPath = ['routes', index, 'replaces'];
  const named = textAt(root, path);
  const others = routes.flatMap((_, other) => (other === index ? [] : (nameOf(root, other) ?? [])));
  if (!named || others.includes(named.text)) return [];
  const meant = suggest(named.text, others);
  const fix = meant ? `did you mean ${meant}?` : 'give the route to be replaced that name, or remove replaces';
  return [
    problemAt(root, path, { message: `names ${named.shown} as the route to replace, which nothing defines`, fix }),
  ];
}

/** A route that takes another's place may take its name too. */
function checkName(root: ConfigNode, index: number, routes: readonly ConfigNode[]): Problem[] {
  const name = nameOf(root, index);
  const first = routes.findIndex((_, other) => nameOf(root, other) === name);
  if (name === undefined || first === index) return [];
  if ([first, index].some((route) => textAt(root, ['routes', route, 'replaces'])?.text === name)) return [];
  const owner = routes[first]?.origin;
  const where = owner?.position ? `in line ${owner.position.line}` : `by ${owner?.label}`;
  const finding = {
    message: `is already the name of a route written ${where}`,
    fix: 'choose another name, or add replaces',
  };
  return [problemAt(root, ['routes', index, 'name'], finding)];
}

function checkObjectiveName(root: ConfigNode, index: number): Problem[] {
  const path: ConfigPath = ['slo', index, 'name'];
  const named = textAt(root, path);
  const first = itemsAt(root, ['slo']).findIndex(
    (_, other) => textAt(root, ['slo', other, 'name'])?.text === named?.text,
  );
  if (!named || first === index) return [];
  return [
    problemAt(root, path, {
      message: `${named.shown} is already the name of slo[${first}]`,
      fix: 'choose another name',
    }),
  ];
}

function checkObjectiveRoutes(root: ConfigNode, index: number, routes: readonly ConfigNode[]): Problem[] {
  const names = routes.flatMap((_, route) => nameOf(root, route) ?? placeOf(root, route));
  return itemsAt(root, ['slo', index, 'routes']).flatMap((_, item) => {
    const path: ConfigPath = ['slo', index, 'routes', item];
    const named = textAt(root, path);
    if (!named || names.includes(named.text)) return [];
    const meant = suggest(named.text, names);
    const fix = meant ? `did you mean ${meant}?` : `write the name of a route: ${names.join(', ') || 'there are none'}`;
    return [problemAt(root, path, { message: `${named.shown} names a route that nothing defines`, fix })];
  });
}

/** Host and path: the name of a route that has no other. */
function placeOf(root: ConfigNode, route: number): string {
  const text = (key: string) => textAt(root, ['routes', route, key])?.text ?? '';
  return text('host').toLowerCase() + text('path');
}

function nameOf(root: ConfigNode, route: number): string | undefined {
  return textAt(root, ['routes', route, 'name'])?.text;
}

function textAt(root: ConfigNode, path: ConfigPath): { readonly text: string; readonly shown: string } | undefined {
  const node = nodeAt(root, path);
  if (typeof node?.content !== 'string' || node.content === '') return undefined;
  return { text: node.content, shown: describeValue(path, node) };
}
