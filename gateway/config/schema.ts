import { z } from 'zod';
import { contractSchema } from '#gateway/contract/settings.ts';
import { graphqlSchema } from '#gateway/graphql/settings.ts';
import { adminSchema, listenSchema } from '#gateway/http/settings.ts';
import { objectivesSchema } from '#gateway/monitoring/settings.ts';
import { redisSchema } from '#gateway/redis/settings.ts';
import { routeSchema } from '#gateway/rest/settings.ts';
import { versionsSchema } from '#gateway/routing/version-settings.ts';
import { telemetrySchema } from '#gateway/telemetry/settings.ts';
import { authSchema, consumersSchema } from '#policies/auth/settings.ts';
import { compressionSchema } from '#policies/compression/settings.ts';
import { corsProblem, corsSchema } from '#policies/cors/settings.ts';
import { limitsSchema, tiersSchema } from '#policies/limits/settings.ts';
import { securityHeadersSchema } from '#policies/security-headers/settings.ts';
import { cacheSchema } from '#upstreams/cache/settings.ts';
import { name } from '#upstreams/fields.ts';
import { upstreamSchema } from '#upstreams/settings.ts';

const ports = z.object({ listen: z.object({ port: z.number() }), admin: z.object({ port: z.number() }) });

/** `gateway.yaml` with the defaults of modules beneath it. Each part is owned by the code that acts on it. */
export const configSchema = z
  .strictObject({
    modules: z
      .string()
      .min(1, 'write a folder such as ./resolvers, or leave modules out')
      .optional()
      .describe('Folder with a `registry.ts` of modules, relative to this file; none: a pure REST gateway.'),
    listen: listenSchema.prefault({}).describe('The public listener. A change needs a restart.'),
    admin: adminSchema.prefault({}).describe('The listener for operators: health, metrics, `/admin`.'),
    upstreams: z
      .record(name(), upstreamSchema)
      .default({})
      .describe('Services behind the gateway, by name: where they run and how much they may be asked.'),
    routes: z
      .array(routeSchema)
      .max(10_000, 'write at most 10000 routes')
      .default([])
      .describe(
        'REST paths that are passed through, in one table with those of modules: the most specific one wins, and two that ' +
          'cannot be told apart are an error unless one `replaces` the other.',
      ),
    versions: versionsSchema.describe(
      'Groups of routes that are versions of one API, by name; routes say `version: { of, is }`.',
    ),
    graphql: graphqlSchema.prefault({}).describe('The GraphQL door.'),
    docs: contractSchema.prefault({}).describe('The OpenAPI document of the REST routes, and its page.'),
    cors: corsSchema.prefault({}).describe('Which pages of other origins may read answers.'),
    headers: securityHeadersSchema
      .prefault({})
      .describe('What answers tell browsers of security, and what of upstreams they do not tell.'),
    auth: authSchema.prefault({}).describe('Who is asking: issuers of tokens, API keys.'),
    consumers: consumersSchema.describe('Applications that call the gateway, and what is known of them.'),
    telemetry: telemetrySchema.prefault({}).describe('Traces, metrics and logs.'),
    slo: objectivesSchema.describe(
      'Objectives for the service that clients get; `weir alerts` prints the rules that watch over them.',
    ),
    redis: redisSchema.prefault({}).describe('What instances share. A change needs a restart.'),
    tiers: tiersSchema.describe('What consumers may use, by tier; `anonymous` is the tier of who shows no credential.'),
    limits: limitsSchema.prefault({}).describe('Limits beside those of tiers and routes, and how all of them behave.'),
    compression: compressionSchema
      .prefault({})
      .describe('How answers are compressed for whoever asks for it; `off` leaves all as they are.'),
    cache: cacheSchema.prefault({}).describe('The one store of what upstreams have answered.'),
  })
  .refine(({ listen, admin }) => listen.port === 0 || listen.port !== admin.port, {
    path: ['listen', 'port'],
    error: 'is the port of admin too; choose another for one of the two',
    when: ({ value }) => ports.safeParse(value).success,
  })
  .refine(({ cache, redis }) => !cache.redis || redis.url !== '', {
    path: ['cache', 'redis'],
    error: 'needs a Redis; write redis.url, or cache.redis: false',
  })
  .superRefine(({ cors, routes }, context) => {
    for (const [index, route] of routes.entries()) {
      const message = corsProblem(cors, route.cors);
      if (message !== undefined)
        context.addIssue({
          code: 'custom',
          path: ['routes', index, 'cors', 'credentials'],
          message,
          input: route.cors,
        });
    }
  });

/** As the program reads it: durations in milliseconds, sizes in bytes, defaults filled in. */
export type GatewayConfig = z.output<typeof configSchema>;
