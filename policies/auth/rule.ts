import { Environment, ParseError, type ParseResult } from '@marcbachmann/cel-js';
import type { RequestContext } from '#core/context.ts';

/** A condition in the Common Expression Language, of who is asking and for what. */
export interface Rule {
  readonly text: string;
  readonly evaluate: ParseResult;
}

/** No rule needs more; one that is made to cost is stopped at boot. */
const limits = { maxAstNodes: 500, maxDepth: 50, maxListElements: 200, maxMapEntries: 100, maxCallArguments: 16 };

const environment = new Environment({ limits })
  .registerVariable({
    name: 'consumer',
    schema: { id: 'string', tier: 'string', roles: 'list<string>', scopes: 'list<string>', subject: 'string' },
  })
  .registerVariable('claims', 'map')
  .registerVariable({
    name: 'request',
    schema: {
      method: 'string',
      path: 'string',
      host: 'string',
      route: 'string',
      ip: 'string',
      headers: 'map<string, string>',
    },
  });

/**
 * @returns the rule, or what is wrong with it and where
 */
export function compileRule(text: string): Rule | { readonly problem: string } {
  let evaluate: ParseResult;
  try {
    evaluate = environment.parse(text);
  } catch (error) {
    if (error instanceof ParseError) return { problem: firstLine(error.message, error.node?.pos) };
    throw error;
  }
  const { valid, type, error } = evaluate.check();
  if (!valid) return { problem: firstLine(error?.message ?? 'its types do not fit', error?.range?.start) };
  if (type !== 'bool' && type !== 'dyn') return { problem: `it is of type ${String(type)}, not bool` };
  // CEL promises linear time for it, JavaScript's expressions do not keep that promise.
  if (calls(evaluate.ast, 'matches'))
    return { problem: 'matches() is not taken; use startsWith, endsWith, contains or in' };
  return { text, evaluate };
}

/** Whether a request meets a rule. One that cannot be evaluated, such as for a claim that is missing, is not met. */
export function meets({ evaluate }: Rule, context: RequestContext): boolean {
  const { identity } = context;
  try {
    const result: unknown = evaluate({
      consumer: {
        id: identity.consumer,
        tier: identity.tier,
        roles: identity.roles,
        scopes: identity.scopes,
        subject: identity.subject ?? '',
      },
      claims: identity.claims,
      request: {
        method: context.method,
        path: context.path,
        host: context.host,
        route: context.routeName ?? '',
        ip: context.clientIp,
        headers: context.headers,
      },
    });
    return result === true;
  } catch {
    return false;
  }
}

function firstLine(message: string, position: number | undefined): string {
  const line = message.split('\n', 1)[0] ?? '';
  return position === undefined ? line : `${line} (at character ${position + 1})`;
}

function calls(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((part) => calls(part, name));
  if (typeof node !== 'object' || node === null) return false;
  const { op, args } = node as { readonly op?: unknown; readonly args?: unknown };
  if ((op === 'call' || op === 'rcall') && Array.isArray(args) && args[0] === name) return true;
  return calls(args, name);
}
