import type { RequestContext } from '#core/context.ts';

/** What a template may ask for. All of it is text; what is not there is undefined. */
const plainNames: Readonly<Record<string, (context: RequestContext) => string | undefined>> = {
  'consumer.id': ({ identity }) => identity.consumer,
  'consumer.tier': ({ identity }) => identity.tier,
  subject: ({ identity }) => identity.subject,
  'request.id': ({ id }) => id,
  'request.method': ({ method }) => method,
  'request.path': ({ path }) => path,
  'request.host': ({ host }) => host,
  'client.ip': ({ clientIp }) => clientIp,
};

/** The same with a name of the operator's choice after the dot. */
const families: Readonly<Record<string, (name: string) => Read>> = {
  claims: (name) => (context) => scalar(context.identity.claims, name),
  params: (name) => (context) => decoded(context.pathParts[name]),
  query: (name) => (context) => new URLSearchParams(context.query).get(name) ?? undefined,
};

type Read = (context: RequestContext) => string | undefined;

const known = [...Object.keys(plainNames), 'claims.NAME', 'params.NAME', 'query.NAME'].join(', ');

/** Text that alternates with names in braces, beginning with text; `{{` and `}}` stand for a brace. */
export function splitTemplate(text: string): { readonly parts: readonly string[] } | { readonly problem: string } {
  const parts = [''];
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character !== '{' && character !== '}') {
      parts[parts.length - 1] += character;
    } else if (text[at + 1] === character) {
      parts[parts.length - 1] += character;
      at++;
    } else {
      const end = text.indexOf('}', at);
      const place = `at character ${at + 1}`;
      if (character === '}')
        return { problem: `has a closing brace without an opening one ${place}; write }} for a brace` };
      if (end < 0) return { problem: `has an opening brace without a closing one ${place}; write {{ for a brace` };
      parts.push(text.slice(at + 1, end), '');
      at = end;
    }
  }
  return { parts };
}

interface Compiled {
  readonly texts: readonly string[];
  readonly reads: readonly Read[];
  readonly params: readonly string[];
  readonly names: readonly string[];
}

function compile(text: string): Compiled | { readonly problem: string } {
  const split = splitTemplate(text);
  if ('problem' in split) return split;
  const names = split.parts.filter((_, index) => index % 2 === 1);
  const reads = names.flatMap((name) => readerOf(name) ?? []);
  if (reads.length < names.length) return { problem: unknownName(names.find((name) => !readerOf(name))!) };
  return {
    texts: split.parts.filter((_, index) => index % 2 === 0),
    reads,
    params: names.flatMap((name) => (name.startsWith('params.') ? [name.slice('params.'.length)] : [])),
    names,
  };
}

/** It says who asks, or what a credential says of who asks. */
function namesIdentity(name: string): boolean {
  return name === 'subject' || name.startsWith('consumer.') || name.startsWith('claims.');
}

/** It is of one client, and may be another for who asks for the same URL. */
export function namesClient(name: string): boolean {
  return name === 'client.ip' || namesIdentity(name);
}

/** What is wrong with a template; undefined when nothing is. */
export function templateProblem(text: string): string | undefined {
  const compiled = compile(text);
  return 'problem' in compiled ? compiled.problem : undefined;
}

/** Text with values of the request in it: `{consumer.id}`, `{request.id}`, `{claims.NAME}`. */
export class Template {
  readonly #texts: readonly string[];
  readonly #reads: readonly Read[];
  /** Of the route's path. */
  readonly params: readonly string[];
  /** Its text may be another for somebody else who asks. */
  readonly readsIdentity: boolean;
  /** The same, also where it is only by the address that one is told from the other. */
  readonly readsClient: boolean;
  /** It has in it what upstreams are told of each request anyway, and no key can hold. */
  readonly isStamp: boolean;

  /** @throws {TypeError} for what {@link templateProblem} tells */
  constructor(text: string) {
    const compiled = compile(text);
    if ('problem' in compiled) throw new TypeError(compiled.problem);
    this.#texts = compiled.texts;
    this.#reads = compiled.reads;
    this.params = compiled.params;
    this.readsIdentity = compiled.names.some(namesIdentity);
    this.readsClient = compiled.names.some(namesClient);
    this.isStamp = compiled.names.some((name) => name === 'request.id' || name === 'client.ip');
  }

  /** @returns undefined where a value is not there */
  fill(context: RequestContext): string | undefined {
    let text = this.#texts[0]!;
    for (let index = 0; index < this.#reads.length; index++) {
      const value = this.#reads[index]!(context);
      if (value === undefined) return undefined;
      text += value + this.#texts[index + 1]!;
    }
    return text;
  }
}

/** Reads a value of the request by its name; undefined for a name that there is not. */
export function readerOf(name: string): Read | undefined {
  if (Object.hasOwn(plainNames, name)) return plainNames[name];
  const dot = name.indexOf('.');
  const family = name.slice(0, dot);
  if (dot < 1 || !Object.hasOwn(families, family)) return undefined;
  return /^[\w.-]+$/.test(name.slice(dot + 1)) ? families[family]!(name.slice(dot + 1)) : undefined;
}

function unknownName(name: string): string {
  return `names {${/^[\w.-]{1,64}$/.test(name) ? name : '…'}}, which no template has; write one of ${known}, or {{ for a brace`;
}

/** By a path of names with dots, or by one name that has some, as claims of URIs do. */
function scalar(claims: Readonly<Record<string, unknown>>, name: string): string | undefined {
  let value: unknown = Object.hasOwn(claims, name) ? claims[name] : claims;
  if (value === claims) {
    for (const part of name.split('.')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
      value = (value as Record<string, unknown>)[part];
    }
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function decoded(part: string | undefined): string | undefined {
  if (part === undefined) return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
