import { PathPattern } from '#gateway/routing/pattern.ts';
import type { UseReport } from './uses.ts';

/**
 * Of a report, what is asked for: a field by its name; a route by its path as written, by any path that it serves, or by its
 * beginning, `/v1/orders` or `/v1`. Whatever the route is called by now: what was used may not be there any more.
 */
export function usesOf(report: UseReport, of: string | undefined): UseReport {
  if (of === undefined || of === '') return report;
  const matches = new Map<string, boolean>();
  const isMeant = (what: string): boolean => {
    let meant = matches.get(what);
    if (meant === undefined) matches.set(what, (meant = isOf(what, of)));
    return meant;
  };
  return { ...report, uses: report.uses.filter(({ what }) => isMeant(what)) };
}

function isOf(what: string, of: string): boolean {
  if (what === of) return true;
  const slash = what.indexOf('/');
  if (slash < 0 || !of.startsWith('/')) return false;
  // `api.example.com/orders (v2)`: a host before it, a version after it.
  const path = what.slice(slash).replace(/ \([^)]*\)$/, '');
  if (path === of || path.startsWith(`${of}/`) || path.startsWith(`${of}{`)) return true;
  try {
    return new PathPattern(path).match(of) !== undefined;
  } catch {
    return false;
  }
}
