import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { CredentialKind } from '#core/identity.ts';
import { meets, type Rule } from './rule.ts';

/** What fields and types of a schema ask of who reads them. */
export type FieldDemand =
  /** By one of these kinds; by any when undefined. */
  | { readonly kind: 'authenticated'; readonly accept: readonly CredentialKind[] | undefined }
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
  if (demand.kind === 'authenticated') {
    const { credential } = identity;
    return credential !== undefined && (demand.accept?.includes(credential) ?? true);
  }
  if (demand.kind === 'rule') return meets(demand.rule, context);
  return demand.scopes.some((list) => list.every((scope) => identity.scopes.includes(scope)));
}

function detailOf(demand: FieldDemand): string {
  if (demand.kind === 'authenticated')
    return `This field takes another kind of credential: ${demand.accept!.join(', ')}.`;
  if (demand.kind !== 'scopes') return 'The credential does not allow this field.';
  return `A scope is missing; needed: ${demand.scopes.map((list) => list.join(' ')).join(', or ')}.`;
}
