import { describe, expect, test } from 'vitest';
import { RequestContext } from '#core/context.ts';
import { anonymous, type Identity } from '#core/identity.ts';
import { facets, Provenance, wholeIdentity } from '#core/provenance.ts';
import { operationContext } from '#gateway/graphql/operation-context.ts';
import { ExecutionContext } from '#resolvers/execution-context.ts';
import { watchedRequest } from '#resolvers/watched-request.ts';
import { withPurpose, type Purpose } from '#upstreams/purpose.ts';
import { newRequest } from './harness.ts';

interface Read {
  readonly value: unknown;
  /** Of a request whose answer may be kept. */
  readonly provenance: Provenance;
  /** What is fetched for the field is for nobody else: of that request, and of one whose answer is not kept. */
  readonly personal: readonly boolean[];
  /** What who writes modules is told. */
  readonly told: string | undefined;
}

function requestOf(provenance?: Provenance, development = false): RequestContext {
  const request = newRequest();
  Object.assign(request.headers, { 'x-beta': '1', cookie: 'a=b', 'x-api-key': 'k' });
  return Object.assign(request, { withheld: 'x-api-key', provenance, development });
}

/** SDL says that it is for everybody. */
const publicField = (): Purpose => ({
  name: 'Query.field',
  caching: { rules: { scope: 'shared' }, inherits: false },
  personal: false,
  answered() {},
  stoodIn() {},
});

/** Such a field reads of a request. */
function reading(read: (request: RequestContext) => unknown): Read {
  const [kept, alone] = [publicField(), publicField()];
  const provenance = new Provenance();
  const value = withPurpose(kept, read, watchedRequest(requestOf(provenance)));
  withPurpose(alone, read, watchedRequest(requestOf()));
  let told: string | undefined;
  try {
    withPurpose(publicField(), read, watchedRequest(requestOf(undefined, true)));
  } catch (error) {
    told = (error as Error).message;
  }
  return { value, provenance, personal: [kept.personal, alone.personal], told };
}

describe('Whoever reads of the identity', () => {
  test.each<[string, (request: RequestContext) => unknown, number]>([
    ['a member', ({ identity }) => identity.consumer, facets.consumer],
    ['a member by how it is defined', ({ identity }) => described(identity, 'roles'), facets.roles],
    ['all', ({ identity }) => ({ ...identity }), wholeIdentity],
    ['all as a structured clone', ({ identity }) => structuredClone(identity), wholeIdentity],
    ['all as JSON', ({ identity }) => JSON.stringify(identity), wholeIdentity],
    [
      'it through a description of the request',
      (request) => Object.getOwnPropertyDescriptors(request).identity.value?.tier,
      facets.tier,
    ],
    ['it in a copy of the request', (request) => copied(request).identity.tier, facets.tier],
    ['it through what inherits from the request', (request) => heir(request).identity.tier, facets.tier],
    ['it through what inherits from it', ({ identity }) => heir(identity).tier, facets.tier],
  ])('is noted to read %s', (_, read, facet) => {
    const { provenance, personal, told } = reading(read);
    expect(provenance.audience).toBe(facet);
    expect(personal).toEqual([true, true]);
    expect(told).toMatch(/^Query\.field reads request\.\w+(\.\w+)?, and @cacheControl\(scope: PUBLIC\)/);
  });

  test('gets what is there, frozen or not', () => {
    expect(reading(({ identity }) => ({ ...identity })).value).toEqual({ ...anonymous });
    expect(reading(({ identity }) => structuredClone(identity)).value).toEqual({ ...anonymous });
    expect(reading((request) => Object.keys(request)).value).toEqual(Object.keys(newRequest()));
    expect(reading((request) => Object.hasOwn(request, 'other')).value).toBe(false);
    expect(reading((request) => request instanceof RequestContext).value).toBe(true);
  });

  test('is told nothing by which members there are, and nothing is noted', () => {
    const looks: readonly ((identity: Identity) => unknown)[] = [
      Reflect.ownKeys,
      (identity) => 'key' in identity,
      (identity) => Object.hasOwn(identity, 'tier'),
      (identity) => propertyIsListed(identity, 'claims'),
      (identity) => Object.values(Object.getOwnPropertyDescriptors(identity)).map(({ value }) => value as unknown),
    ];
    for (const look of looks) {
      const { value, provenance, personal, told } = reading(({ identity }) => look(identity));
      expect(provenance).toEqual(new Provenance());
      expect([personal, told]).toEqual([[false, false], undefined]);
      const other = { ...anonymous, consumer: 'acme', key: 'k', credential: 'apiKey' } as const;
      expect(look(watchedRequest(Object.assign(newRequest(), { identity: other })).identity)).toEqual(value);
    }
  });

  test('as it ends keeps the answer from others, however it is read', () => {
    const obstacle = 'a resolver reads request.identity.expiresMs';
    expect(reading(({ identity }) => identity.expiresMs).provenance.obstacle).toBe(obstacle);
    expect(reading(({ identity }) => structuredClone(identity)).provenance.obstacle).toBe(obstacle);
  });
});

describe('Whoever reads of the fields', () => {
  test.each<[string, (headers: RequestContext['headers'], name: string) => unknown]>([
    ['what one says', (headers, name) => headers[name]],
    ['whether there is one', (headers, name) => name in headers],
    ['whether it is their own', (headers, name) => Object.hasOwn(headers, name)],
    ['how one is defined', (headers, name) => Object.getOwnPropertyDescriptor(headers, name)],
    ['whether one is listed', propertyIsListed],
  ])('is noted to read %s, and of whom if it is a credential', (_, read) => {
    const beta = reading(({ headers }) => read(headers, 'x-beta'));
    expect([...beta.provenance.fields!]).toEqual(['x-beta']);
    expect([beta.personal, beta.told]).toEqual([[false, false], undefined]);
    for (const name of ['cookie', 'authorization', 'x-api-key']) {
      const { provenance, personal, told } = reading(({ headers }) => read(headers, name));
      expect([...provenance.fields!]).toEqual([name]);
      expect(personal).toEqual([true, true]);
      expect(told).toContain(`Query.field reads request.headers.${name}, and`);
    }
  });

  test.each(['', 'no name', 'a: b', 'line\nbreak', 'x'.repeat(65), 'Ä'])(
    'that no field can be called, such as %j, is told nothing, and nothing is noted',
    (name) => {
      const { value, provenance } = reading(({ headers }) => headers[name]);
      expect([value, provenance.fields]).toEqual([undefined, undefined]);
    },
  );

  test('for an operation that came with others is noted as for one that came alone', () => {
    const { headers } = watchedRequest(operationContext(requestOf(undefined, true), {}));
    const read = () => withPurpose(publicField(), () => headers['x-api-key']);
    expect(read).toThrow('Query.field reads request.headers.x-api-key, and');
  });

  test('all of them has an answer for itself alone', () => {
    const reads: readonly ((headers: object) => unknown)[] = [Object.keys, copied, JSON.stringify];
    for (const read of reads) {
      const { provenance, personal, told } = reading(({ headers }) => read(headers));
      expect(provenance.obstacle).toBe('a resolver reads all of request.headers');
      expect(personal).toEqual([true, true]);
      expect(told).toContain('Query.field reads request.headers, and');
    }
  });
});

describe('Whoever reads of the request', () => {
  test.each<[string, (request: RequestContext) => unknown]>([
    ['a member', ({ clientIp }) => clientIp],
    ['whether it has one of its own', (request) => Object.hasOwn(request, 'clientIp')],
    ['how a member is defined', (request) => Object.getOwnPropertyDescriptor(request, 'clientIp')],
  ])('%s that no key knows has an answer for itself alone', (_, read) => {
    expect(reading(read).provenance.obstacle).toBe('a resolver reads request.clientIp');
  });

  test('all of it has an answer for itself alone', () => {
    const { provenance, personal } = reading(copied);
    expect(provenance.obstacle).toMatch(/^a resolver reads request\./);
    expect(personal).toEqual([true, true]);
  });

  test('with which certificate it came reads who asks', () => {
    const { personal, told } = reading(({ clientCertificate }) => clientCertificate);
    expect(personal).toEqual([true, true]);
    expect(told).toContain('Query.field reads request.clientCertificate, and');
  });

  test('in a function that a resolver gives, which GraphQL calls with its context, reads as a resolver does', () => {
    const provenance = new Provenance();
    const context = new ExecutionContext(requestOf(provenance));
    expect(context.request.identity.consumer).toBe('anonymous');
    expect(provenance.audience).toBe(facets.consumer);
  });

  test('comes by it no other way from the context that GraphQL calls such a function with', () => {
    const context = new ExecutionContext(requestOf());
    expect(Reflect.ownKeys(context)).toEqual([]);
    expect(Reflect.ownKeys(ExecutionContext)).toEqual(['length', 'name', 'prototype']);
    const members = ['constructor', 'request', 'of', 'forget', 'degrade'];
    expect(Reflect.ownKeys(ExecutionContext.prototype)).toEqual(members);
  });

  test('what says nothing of who asks has an answer for everybody', () => {
    const { provenance, personal, told } = reading((request) => {
      Object.hasOwn(request, 'identity');
      return [request.host, request.routeName, Object.getOwnPropertyDescriptor(request, 'id'), 'headers' in request];
    });
    expect(provenance).toEqual(new Provenance());
    expect([personal, told]).toEqual([[false, false], undefined]);
  });
});

function propertyIsListed(of: object, name: string): boolean {
  return Object.prototype.propertyIsEnumerable.call(of, name);
}

function described(of: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(of, name)?.get?.();
}

function copied<T extends object>(of: T): T {
  return { ...of };
}

function heir<T extends object>(of: T): T {
  return Object.create(of) as T;
}
