import { defaultFieldResolver, getNamedType, isObjectType, type GraphQLField, type GraphQLSchema } from 'graphql';
import { denial, type FieldDemand } from '#policies/auth/field-guard.ts';
import { compileRule } from '#policies/auth/rule.ts';
import { authDirectivesOf } from '#schema/directives.ts';
import type { Problem } from '#schema/problem.ts';
import { incomingOf, type ExecutionContext } from './execution-context.ts';

type Field = GraphQLField<unknown, ExecutionContext>;

/** By `Type.field`, what is asked of who reads it; fields that ask for nothing are absent. */
export type Demands = ReadonlyMap<string, readonly FieldDemand[]>;

/**
 * What each field of the schema asks for: what is written on it, on the same field of an interface, on the type it belongs
 * to with its interfaces, and on the type it returns.
 * @returns problems for rules that cannot be used
 */
export function readDemands(schema: GraphQLSchema): {
  readonly demands: Demands;
  readonly problems: readonly Problem[];
} {
  const demands = new Map<string, readonly FieldDemand[]>();
  const problems = new Map<string, Problem>();
  const read = (node: Parameters<typeof authDirectivesOf>[1]) =>
    authDirectivesOf(schema, node).flatMap(({ directive, where }): FieldDemand[] => {
      if (directive.kind !== 'rule') return [directive];
      const rule = compileRule(directive.rule);
      if (!('problem' in rule)) return [{ kind: 'rule', rule }];
      const message = `@policy has a rule that cannot be used: ${rule.problem}`;
      problems.set(`${where} ${directive.rule}`, { where, message, fix: 'correct the rule; it is CEL' });
      return [];
    });
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    const interfaces = type.getInterfaces();
    const ofType = [type, ...interfaces].flatMap(({ astNode, extensionASTNodes }) =>
      [astNode, ...extensionASTNodes].flatMap(read),
    );
    for (const field of Object.values(type.getFields())) {
      const returned = getNamedType(field.type);
      const ofReturned = isObjectType(returned) ? [returned, ...returned.getInterfaces()] : [returned];
      const found = [
        ...ofType,
        ...read(field.astNode),
        ...interfaces.flatMap((shared) => read(shared.getFields()[field.name]?.astNode)),
        ...ofReturned.flatMap(({ astNode, extensionASTNodes }) => [astNode, ...extensionASTNodes].flatMap(read)),
      ];
      if (found.length > 0) demands.set(`${type.name}.${field.name}`, found);
    }
  }
  return { demands, problems: [...problems.values()] };
}

/**
 * Puts the demands before the resolvers: whoever does not meet them gets an error at the field's path, whatever the field is
 * called there and by whichever way it is delivered, and nothing behind it runs.
 */
export function guardFields(schema: GraphQLSchema, demands: Demands): void {
  for (const [path, demanded] of demands) {
    const [typeName, name] = path.split('.') as [string, string];
    const type = schema.getType(typeName);
    if (!isObjectType(type)) continue;
    const field = type.getFields()[name] as Field;
    const isSubscription = type === schema.getSubscriptionType();
    const { resolve = defaultFieldResolver, subscribe } = field;
    field.resolve = (source, args, context, info) => {
      const denied = denial(demanded, incomingOf(context));
      if (denied) throw denied;
      return resolve(source, args, context, info);
    };
    if (!isSubscription || !subscribe) continue;
    field.subscribe = (source, args, context, info) => {
      const denied = denial(demanded, incomingOf(context));
      if (denied) throw denied;
      return subscribe(source, args, context, info);
    };
  }
}
