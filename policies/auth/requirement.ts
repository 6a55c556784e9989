import type { Requirement } from '#core/route.ts';
import { meets } from './rule.ts';
import { requirementSchema, type RequirementSettings } from './settings.ts';

/** What a route asks for, where `auth.default` speaks for those that say nothing. */
export function requirementOf(settings: RequirementSettings | undefined, fallback: RequirementSettings): Requirement {
  const { mode, accept, scopes, roles, rule } = settings ?? fallback;
  return {
    mode,
    accept: accept && new Set(accept),
    allScopes: scopes?.all ?? [],
    anyScopes: scopes?.any ?? [],
    roles,
    rule: rule && ((context) => meets(rule, context)),
  };
}

/** Of the gateway's own pages. */
export const open: Requirement = requirementOf(undefined, requirementSchema.parse('none'));
