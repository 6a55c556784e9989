import type { Requirement } from '#core/route.ts';
import type { CredentialKind } from '#core/identity.ts';
import type { JsonMap } from '#upstreams/service-document.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';

interface Scheme {
  readonly kinds: readonly CredentialKind[];
  readonly definition: JsonMap;
}

/** The ways to show who is asking that the configuration has, as OpenAPI says them (3.1 §4.8.27). */
export class SecuritySchemes {
  readonly #schemes: Readonly<Record<string, Scheme>>;

  constructor({ auth, consumers, redis }: Pick<GatewayConfig, 'auth' | 'consumers' | 'redis'>) {
    const keys = consumers.some((consumer) => consumer.keys.length > 0) || redis.url !== '';
    this.#schemes = {
      ...(auth.jwt.length > 0 || auth.introspection
        ? {
            bearer: {
              kinds: ['jwt', 'introspection'],
              definition: {
                type: 'http',
                scheme: 'bearer',
                ...(auth.jwt.length > 0 && !auth.introspection && { bearerFormat: 'JWT' }),
                description: 'An access token.',
              },
            },
          }
        : {}),
      ...(keys && {
        apiKey: {
          kinds: ['apiKey'],
          definition: { type: 'apiKey', in: 'header', name: auth.apiKeys.header, description: 'A key of a consumer.' },
        },
      }),
      ...(auth.mtls && {
        clientCertificate: {
          kinds: ['mtls'],
          definition: { type: 'mutualTLS', description: 'A client certificate.' },
        },
      }),
    };
  }

  get definitions(): readonly (readonly [string, JsonMap])[] {
    return Object.entries(this.#schemes).map(([name, { definition }]) => [name, definition] as const);
  }

  /** The `security` of an operation: one of these will do. */
  of({ mode, accept, allScopes, anyScopes }: Requirement): readonly JsonMap[] {
    if (mode === 'none') return [];
    const scopes = anyScopes.length > 0 ? anyScopes.map((scope) => [...allScopes, scope]) : [allScopes];
    const ways = Object.entries(this.#schemes)
      .filter(([, { kinds }]) => !accept || kinds.some((kind) => accept.has(kind)))
      .flatMap(([name]) => scopes.map((needed) => ({ [name]: needed })));
    return mode === 'optional' ? [{}, ...ways] : ways;
  }
}
