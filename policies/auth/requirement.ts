import type { Requirement } from '#core/route.ts';
import { meets } from './rule.ts';
import type { AuthSettings, RequirementSettings } from './settings.ts';

/** What a route asks for, where `auth.default` speaks for those that say nothing. */
export function requirementOf(
  settings: RequirementSettings | undefined,
  fallback: AuthSettings['default'],
): Requirement {
  const rule = settings?.rule;
  return {
    mode: settings?.mode ?? fallback,
    accept: settings?.accept && new Set(settings.accept),
    allScopes: settings?.scopes?.all ?? [],
    anyScopes: settings?.scopes?.any ?? [],
    roles: settings?.roles ?? [],
    rule: rule && ((context) => meets(rule, context)),
  };
}

/** Of the gateway's own pages. */
export const open: Requirement = requirementOf(undefined, 'none');
