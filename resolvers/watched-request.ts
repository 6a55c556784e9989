import { GraphQLError } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import type { Identity } from '#core/identity.ts';
import { facets, wholeIdentity } from '#core/provenance.ts';
import { currentPurpose } from '#upstreams/purpose.ts';

/**
 * A request as code of modules sees it. What is read of who asks is noted, however it is read: what a field fetches from there on
 * is for nobody else, and a finished answer that may be kept is kept for those alone of whom the same would be read.
 */
export function watchedRequest(request: RequestContext): RequestContext {
  return new Proxy(request, new RequestWatch());
}

/** The same for every request with one key, or nothing that belongs into an answer. */
const free: ReadonlySet<PropertyKey> = new Set<keyof RequestContext>([
  'calls',
  'cancellation',
  'deadlineMs',
  'development',
  'host',
  'id',
  'operation',
  'route',
  'routeName',
  'scheme',
  'span',
  'startedMs',
]);

/** Which members a request has is the same for all, so that their names may be read. */
class RequestWatch implements ProxyHandler<RequestContext> {
  #identity: Identity | undefined;
  #headers: RequestContext['headers'] | undefined;

  get(request: RequestContext, name: string | symbol): unknown {
    if (name === 'identity') return (this.#identity ??= watchedIdentity(request));
    if (name === 'headers') return (this.#headers ??= new Proxy(request.headers, new HeadersWatch(request)));
    if (!free.has(name)) request.provenance?.refuse(`a resolver reads request.${String(name)}`);
    if (name === 'clientCertificate') notePersonal(request, name);
    return Reflect.get(request, name);
  }

  /** It has the value in it, which is watched as any other. */
  getOwnPropertyDescriptor(request: RequestContext, name: string | symbol): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(request, name);
    return descriptor && { ...descriptor, value: this.get(request, name) };
  }
}

/**
 * Members that are noted when they are read. All of them are always there, so that their names tell nothing. It is no Proxy, since
 * `structuredClone` and `postMessage` take none.
 */
function watchedIdentity(request: RequestContext): Identity {
  const told = <Name extends keyof typeof facets & keyof Identity>(name: Name): Identity[Name] => {
    request.provenance?.read(facets[name]);
    notePersonal(request, 'identity', name);
    return request.identity[name];
  };
  return {
    get consumer() {
      return told('consumer');
    },
    get tier() {
      return told('tier');
    },
    get roles() {
      return told('roles');
    },
    get scopes() {
      return told('scopes');
    },
    get subject() {
      return told('subject');
    },
    get credential() {
      return told('credential');
    },
    get key() {
      return told('key');
    },
    get claims() {
      return told('claims');
    },
    get expiresMs() {
      request.provenance?.read(wholeIdentity);
      // No part of its identity tells when two requests end alike.
      request.provenance?.refuse('a resolver reads request.identity.expiresMs');
      notePersonal(request, 'identity', 'expiresMs');
      return request.identity.expiresMs;
    },
  } as Identity;
}

/** Fields by which who asks is known. */
const credentials: ReadonlySet<string> = new Set(['authorization', 'cookie']);

const fieldName = /^[!#$%&'*+.^_`|~0-9a-z-]{1,64}$/;

class HeadersWatch implements ProxyHandler<RequestContext['headers']> {
  readonly #request: RequestContext;

  constructor(request: RequestContext) {
    this.#request = request;
  }

  get(headers: RequestContext['headers'], name: string | symbol): unknown {
    this.#note(name);
    return Reflect.get(headers, name);
  }

  has(headers: RequestContext['headers'], name: string | symbol): boolean {
    this.#note(name);
    return Reflect.has(headers, name);
  }

  getOwnPropertyDescriptor(headers: RequestContext['headers'], name: string | symbol): PropertyDescriptor | undefined {
    this.#note(name);
    return Reflect.getOwnPropertyDescriptor(headers, name);
  }

  ownKeys(headers: RequestContext['headers']): (string | symbol)[] {
    this.#request.provenance?.refuse('a resolver reads all of request.headers');
    notePersonal(this.#request, 'headers');
    return Reflect.ownKeys(headers);
  }

  #note(name: string | symbol): void {
    if (typeof name !== 'string') return;
    const { provenance, withheld } = this.#request;
    // What is no name of a field (RFC 9110 §5.1) can stand in no `Vary`, and is never there.
    if (fieldName.test(name)) provenance?.readField(name);
    if (credentials.has(name) || name === withheld) notePersonal(this.#request, 'headers', name);
  }
}

let reads = 0;

/** How often modules have read who asks: what runs without a wait has read it if this is another number afterwards. */
export function timesRead(): number {
  return reads;
}

/**
 * What a field is made of is no longer for everybody.
 * @throws {GraphQLError} where SDL says that it is, for who writes modules
 */
function notePersonal({ development }: RequestContext, part: keyof RequestContext, name?: string | symbol): void {
  reads++;
  const purpose = currentPurpose();
  if (!purpose) return;
  purpose.personal = true;
  if (!development || purpose.caching?.rules.scope !== 'shared') return;
  const what = name === undefined ? part : `${part}.${String(name)}`;
  const message =
    `${purpose.name} reads request.${what}, and @cacheControl(scope: PUBLIC) says that everybody gets the same. ` +
    'Write scope: PRIVATE, or read nothing of who asks. (In production the answer is kept for each of them alone.)';
  throw new GraphQLError(message, { extensions: { code: 'INTERNAL' } });
}
