import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { meets, type Rule } from './rule.ts';

/** What fields and types of a schema ask of who reads them. */
export type FieldDemand =
  | { readonly kind: 'authenticated' }
  /** One of these lists is needed, whole. */
  | { readonly kind: 'scopes'; readonly scopes: readonly (readonly string[])[] }
  | { readonly kind: 'rule'; readonly rule: Rule };

/** Why a request may not have a field; undefined where it may. All demands count. */
export function denial(demands: readonly FieldDemand[], context: RequestContext): WeirError | undefined {
  for (const demand of demands) {
    if (isMet(demand, context)) continue;
    if (context.identity.credential === undefined)
      return new WeirError('UNAUTHENTICATED', { detail: 'A valid credential is needed for this field.' });
    return new WeirError('FORBIDDEN', { detail: detailOf(demand) });
  }
  return undefined;
}

function isMet(demand: FieldDemand, context: RequestContext): boolean {
  const { identity } = context;
  if (demand.kind === 'authenticated') return identity.credential !== undefined;
  if (demand.kind === 'rule') return meets(demand.rule, context);
  return demand.scopes.some((list) => list.every((scope) => identity.scopes.includes(scope)));
}

function detailOf(demand: FieldDemand): string {
  if (demand.kind !== 'scopes') return 'The credential does not allow this field.';
  return `A scope is missing; needed: ${demand.scopes.map((list) => list.join(' ')).join(', or ')}.`;
}
