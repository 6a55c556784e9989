import { GraphQLError } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import type { Identity } from '#core/identity.ts';
import { facets, wholeIdentity, type Provenance } from '#core/provenance.ts';
import { currentPurpose } from '#upstreams/purpose.ts';

/**
 * A request as code of modules sees it. Where the answer may be kept, what is read of the request is noted, so that the answer
 * is kept for those alone of whom the same would be read.
 */
export function watchedRequest(request: RequestContext): RequestContext {
  const { provenance } = request;
  return provenance ? new Proxy(request, new RequestWatch(provenance)) : request;
}

/** The same for every request with one key, or nothing that belongs into an answer. */
const free: ReadonlySet<PropertyKey> = new Set<keyof RequestContext>([
  'calls',
  'cancellation',
  'deadlineMs',
  'host',
  'id',
  'operation',
  'route',
  'routeName',
  'scheme',
  'span',
  'startedMs',
]);

class RequestWatch implements ProxyHandler<RequestContext> {
  readonly #provenance: Provenance;
  #identity: Identity | undefined;
  #headers: RequestContext['headers'] | undefined;

  constructor(provenance: Provenance) {
    this.#provenance = provenance;
  }

  get(request: RequestContext, name: string | symbol): unknown {
    if (name === 'identity') {
      return (this.#identity ??= new Proxy(request.identity, new IdentityWatch(this.#provenance)));
    }
    if (name === 'headers') return (this.#headers ??= new Proxy(request.headers, new HeadersWatch(this.#provenance)));
    if (!free.has(name)) this.#provenance.refuse(`a resolver reads request.${String(name)}`);
    return Reflect.get(request, name);
  }
}

class IdentityWatch implements ProxyHandler<Identity> {
  readonly #provenance: Provenance;

  constructor(provenance: Provenance) {
    this.#provenance = provenance;
  }

  get(identity: Identity, name: string | symbol): unknown {
    this.#note(Object.hasOwn(facets, name) ? facets[name as keyof typeof facets] : wholeIdentity, `.${String(name)}`);
    // No part of its identity tells when two requests end alike.
    if (name === 'expiresMs') this.#provenance.refuse('a resolver reads request.identity.expiresMs');
    return Reflect.get(identity, name);
  }

  has(identity: Identity, name: string | symbol): boolean {
    this.#note(wholeIdentity, '');
    return Reflect.has(identity, name);
  }

  ownKeys(identity: Identity): (string | symbol)[] {
    this.#note(wholeIdentity, '');
    return Reflect.ownKeys(identity);
  }

  #note(facet: number, member: string): void {
    this.#provenance.read(facet);
    notePersonal(this.#provenance, `request.identity${member}`);
  }
}

/** Fields by which who asks is known. */
const credentials: ReadonlySet<string> = new Set(['authorization', 'cookie']);

class HeadersWatch implements ProxyHandler<RequestContext['headers']> {
  readonly #provenance: Provenance;

  constructor(provenance: Provenance) {
    this.#provenance = provenance;
  }

  get(headers: RequestContext['headers'], name: string | symbol): unknown {
    if (typeof name === 'string') {
      this.#provenance.readField(name);
      if (credentials.has(name)) notePersonal(this.#provenance, `request.headers.${name}`);
    }
    return Reflect.get(headers, name);
  }

  has(headers: RequestContext['headers'], name: string | symbol): boolean {
    if (typeof name === 'string') this.#provenance.readField(name);
    return Reflect.has(headers, name);
  }

  ownKeys(headers: RequestContext['headers']): (string | symbol)[] {
    this.#provenance.refuse('a resolver reads all of request.headers');
    return Reflect.ownKeys(headers);
  }
}

/**
 * What a field is made of is no longer for everybody.
 * @throws {GraphQLError} where SDL says that it is, for who writes modules
 */
function notePersonal({ strict }: Provenance, what: string): void {
  const purpose = currentPurpose();
  if (!purpose) return;
  purpose.personal = true;
  if (!strict || purpose.caching?.rules.scope !== 'shared') return;
  const message =
    `${purpose.name} reads ${what}, and @cacheControl(scope: PUBLIC) says that everybody gets the same. ` +
    'Write scope: PRIVATE, or read nothing of who asks. (In production the answer is kept for each of them alone.)';
  throw new GraphQLError(message, { extensions: { code: 'INTERNAL' } });
}
