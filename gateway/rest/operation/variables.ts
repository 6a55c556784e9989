import {
  getNullableType,
  GraphQLBoolean,
  GraphQLFloat,
  GraphQLInt,
  isInputObjectType,
  isListType,
  type GraphQLInputType,
} from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';
import { parseJson } from '#upstreams/client/json.ts';
import type { PartTemplate, Values } from '../aggregate/reference.ts';
import { namesClient } from '../template.ts';
import { bodyName } from './settings.ts';

/** RFC 8259 §11 and RFC 6839 §3.1. */
const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/** Where a variable of an operation comes from. */
export type VariableSource =
  | { readonly kind: 'path' | 'query' | 'field'; readonly name: string }
  | { readonly kind: 'template'; readonly template: PartTemplate };

export interface Variable {
  readonly name: string;
  readonly type: GraphQLInputType;
  readonly required: boolean;
  readonly source: VariableSource;
}

/** The variables that a request gives; what is not there is left out, so that defaults hold. */
export function variablesOf(variables: readonly Variable[], context: RequestContext): Record<string, unknown> {
  const query = new URLSearchParams(context.query);
  const body = bodyOf(context);
  const values: Values = new Map([[bodyName, body]]);
  const found: Record<string, unknown> = {};
  for (const { name, type, source } of variables) {
    const value = valueOf(source, type, { context, query, body, values });
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** Who asks says what it is, not the URL. */
export function differs({ source }: Variable): boolean {
  return source.kind === 'template' && source.template.names.some(namesClient);
}

interface Given {
  readonly context: RequestContext;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly values: Values;
}

function valueOf(source: VariableSource, type: GraphQLInputType, { context, query, body, values }: Given): unknown {
  switch (source.kind) {
    case 'path': {
      const part = context.pathParts[source.name];
      return part === undefined ? undefined : fromText(decoded(part), type);
    }
    case 'query': {
      const texts = query.getAll(source.name);
      if (texts.length === 0) return undefined;
      // OpenAPI 3.1 §4.8.12.2: a list is a parameter that is repeated.
      return isListType(getNullableType(type))
        ? texts.map((text) => fromText(text, itemOf(type)))
        : fromText(texts[0]!, type);
    }
    case 'field': {
      if (body === undefined) return undefined;
      if (typeof body !== 'object' || body === null || Array.isArray(body))
        throw new WeirError('BAD_REQUEST', { detail: 'The body must be a JSON object.' });
      return Object.hasOwn(body, source.name) ? (body as Record<string, unknown>)[source.name] : undefined;
    }
    case 'template': {
      const value = source.template.value(context, values);
      return source.template.parts.length > 0 || typeof value !== 'string' ? value : fromText(value, type);
    }
    default:
      return source satisfies never;
  }
}

function itemOf(type: GraphQLInputType): GraphQLInputType {
  const list = getNullableType(type);
  return isListType(list) ? list.ofType : type;
}

/** Paths and queries know texts alone. What is not as the type wants it stays as it is, to be refused as a variable. */
function fromText(text: string, type: GraphQLInputType): unknown {
  const wanted = getNullableType(type);
  if (wanted === GraphQLInt || wanted === GraphQLFloat)
    return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
  if (wanted === GraphQLBoolean) return text === 'true' ? true : text === 'false' ? false : text;
  if (isListType(wanted)) return [fromText(text, itemOf(type))];
  if (isInputObjectType(wanted)) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }
  return text;
}

function bodyOf({ body, headers }: RequestContext): unknown {
  if (!body || body.length === 0) return undefined;
  if (!jsonType.test(firstValue(headers['content-type']) ?? ''))
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', {
      detail: 'Send the body as application/json.',
      headers: { accept: 'application/json' },
    });
  try {
    return parseJson(body);
  } catch (error) {
    throw new WeirError('BAD_REQUEST', { detail: `The body ${(error as Error).message}.` });
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new WeirError('BAD_REQUEST', { detail: 'The path has a percent sign that encodes nothing.', cause });
  }
}
