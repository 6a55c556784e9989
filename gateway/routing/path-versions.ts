import { WeirError } from '#core/errors.ts';
import { PathPattern } from './pattern.ts';
import type { VersionGroup } from './version-group.ts';

/** What a path may be called that nothing else is. */
const parameter = 'weirApiVersion';

/** A route's path without the segment of its version: what is served to who names none. */
export function withoutVersion(path: string, version: string): string {
  return path.replace(segmentOf(version), '') || '/';
}

export function namesVersion(path: string, version: string): boolean {
  return segmentOf(version).test(path);
}

/** Where versions stand in paths, so that one that is not there can be told from a path that means nothing. */
export class PathVersions {
  readonly #places: { readonly pattern: PathPattern; readonly group: VersionGroup }[] = [];

  add(group: VersionGroup, path: string, version: string): void {
    const place = path.replace(segmentOf(version), `/:${parameter}`);
    const known = this.#places.some((one) => one.group === group && one.pattern.text === place);
    if (!known) this.#places.push({ pattern: new PathPattern(place), group });
  }

  /** @returns undefined for a path that names no version where one could stand */
  refusal(path: string): WeirError | undefined {
    for (const { pattern, group } of this.#places) {
      const asked = pattern.match(path)?.[parameter];
      if (asked === undefined || group.known.includes(asked)) continue;
      // `/v3/orders` asks for a version, `/old/orders` for nothing that we know.
      if (!group.known.some((version) => formOf(version) === formOf(asked))) continue;
      return new WeirError('ROUTE_NOT_FOUND', {
        detail: `'${group.name}' has no version ${asked}. Known are ${group.known.join(', ')}.`,
        extensions: { versions: group.known },
      });
    }
    return undefined;
  }
}

/** The first segment that is the version. */
function segmentOf(version: string): RegExp {
  return new RegExp(`/${version.replaceAll('.', '\\.')}(?=[/{]|$)`);
}

function formOf(version: string): string {
  return version.replaceAll(/\d+/g, '0');
}
