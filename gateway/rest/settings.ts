import { z } from 'zod';
import { requirementSchema } from '#policies/auth/settings.ts';
import { routeCompressionSchema } from '#policies/compression/settings.ts';
import { routeCorsSchema } from '#policies/cors/settings.ts';
import { validateSchema } from '#policies/validation/settings.ts';
import { limitList } from '#policies/limits/settings.ts';
import { criticality } from '#policies/overload/settings.ts';
import { rulesSchema } from '#upstreams/cache/settings.ts';
import { retirementSchema } from '#policies/retirement/settings.ts';
import { duration, headerName, method, name, price, size } from '#upstreams/fields.ts';
import { mirrorSchema, type MirrorSettings } from './mirror-settings.ts';
import { operationParameters, operationSchema, type OperationSettings } from './operation/settings.ts';
import { path, pathNames, pathProblem, rewriteProblem } from './path-field.ts';
import { Template, templateProblem } from './template.ts';
import { bodySchema, headersSchema, querySchema, templatesOf, type TransformSettings } from './transform/settings.ts';
import { aggregateSchema, parametersOf, type AggregateSettings } from './aggregate/settings.ts';
import { routeVersionSchema } from '#gateway/routing/version-settings.ts';
import { fallbackSchema, methodsWithoutFallback } from './fallback-settings.ts';
import { splitSchema, stickySchema } from './split-settings.ts';

const rewritten = z.object({ path: z.string(), rewrite: z.string() });

const host = z
  .string()
  .regex(
    /^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/,
    'write a host name without port, such as api.example.com or *.example.com',
  )
  .toLowerCase();

/** One path that is passed through to an upstream. */
export const routeSchema = z
  .strictObject({
    name: name().optional().describe('For logs, metrics and `replaces`; unique.'),
    path: path.describe('What it serves, in the path syntax of Express 5: `/v1/orders/:id`, `/v1/orders{/*rest}`.'),
    methods: z
      .array(method())
      .min(1, 'name at least one method, or leave methods out')
      .optional()
      .describe('Methods it takes; all when left out.'),
    host: host.optional().describe('Host it is served at, `*.` allowed for any subdomain; all hosts when left out.'),
    match: z
      .strictObject({
        headers: z
          .record(headerName(), z.string())
          .default({})
          .describe('Headers that a request must have, with exactly these values.'),
        query: z
          .record(z.string(), z.string())
          .default({})
          .describe('Query parameters that a request must have, with exactly these values.'),
      })
      .optional()
      .describe('Further conditions; a request that meets them prefers this route.'),
    upstream: name()
      .optional()
      .describe('Upstream that answers, by its name under `upstreams`; or write `split` or `aggregate`.'),
    split: splitSchema
      .optional()
      .describe('Upstreams, or labelled endpoints of one, that share the requests by weight.'),
    sticky: stickySchema
      .optional()
      .describe(
        'What keeps to one share of `split`: `consumer`, `ip`, { header: NAME } or { cookie: NAME }; each request for itself when left out, or without it.',
      ),
    version: routeVersionSchema.optional().describe('Which version of an API it is, of a group under `versions`.'),
    rewrite: path.optional().describe('Path at the upstream, with parameters of `path`; the same path when left out.'),
    timeout: duration()
      .optional()
      .describe("Time up to the response head, retries and all, in place of the upstream's `timeout`."),
    maxBodyBytes: size().optional().describe('Largest request body; `listen.maxBodyBytes` when left out.'),
    fallback: fallbackSchema.optional().describe('Answer where the upstream fails; an error when left out.'),
    replaces: name().optional().describe('Name of the route that this one takes the place of.'),
    criticality: criticality()
      .default('default')
      .describe(
        'What is refused first when not all requests can be served: `sheddable`, then `default`, then `critical`; see load.md.',
      ),
    documented: z
      .boolean()
      .default(true)
      .describe('List it in `/openapi.json`, and hold it to the OpenAPI document of its upstream in `weir check`.'),
    validate: validateSchema
      .optional()
      .describe('What of it is held to the OpenAPI document of its upstream; nothing when left out.'),
    cost: price()
      .optional()
      .describe(
        'Price of a request in upstream calls, paid when it calls at all; the `weight` of its upstream when left out.',
      ),
    auth: requirementSchema.optional().describe('Who may call it; `auth.default` when left out.'),
    cache: rulesSchema
      .optional()
      .describe(
        "How answers are stored where the upstream says nothing, before the upstream's own `cache`; `false`: not at all.",
      ),
    limits: limitList.describe('Limits of this route, besides those of the tier.'),
    aggregate: aggregateSchema
      .optional()
      .describe('One answer from calls to several upstreams, in place of `upstream`; see aggregates.md.'),
    transform: name()
      .optional()
      .describe(
        "Name of a module's transform: clients speak its version, and the upstream its own; see versioning.md.",
      ),
    operation: operationSchema
      .optional()
      .describe(
        'A trusted GraphQL document that answers, by its id, in place of `upstream`; see operations-as-routes.md.',
      ),
    code: z
      .string()
      .regex(/^[a-z][a-z0-9-]*\/.+$/, 'write routes with code in a module, by route.get(…)')
      .optional()
      .describe(
        'Code of a module that answers, in place of `upstream`: its `route.get(…)` writes it; see routes-in-code.md.',
      ),
    deprecated: retirementSchema
      .optional()
      .describe('That it is on its way out, and what is told and done to who still calls it; see versioning.md.'),
    mirror: mirrorSchema
      .optional()
      .describe('A copy of some requests for another upstream, whose answers nobody waits for; see mirroring.md.'),
    cors: routeCorsSchema
      .optional()
      .describe('Which pages of other origins may read its answers; what is left out is as `cors` says.'),
    compression: routeCompressionSchema
      .optional()
      .describe(
        'How its answers are compressed; what is left out is as `compression` says. Write `off` where answers hold a secret ' +
          'beside what the request says: their length would give it away (BREACH). Off, too, keeps strong `ETag`s, for clients that send `If-Match`.',
      ),
    headers: headersSchema.optional().describe('Headers that are renamed, removed and set; see transforms.md.'),
    query: querySchema.optional().describe('Query parameters that are renamed, removed and set.'),
    body: bodySchema.optional().describe('Fields of JSON bodies that are renamed, removed and set.'),
  })
  .refine((route) => route.rewrite === undefined || rewriteProblem(route.path, route.rewrite) === undefined, {
    path: ['rewrite'],
    error: ({ input }) => {
      const route = rewritten.parse(input);
      return rewriteProblem(route.path, route.rewrite);
    },
    when: ({ value }) => rewritten.safeParse(value).success,
  })
  .refine(({ upstream, split }) => upstream === undefined || split === undefined, {
    path: ['upstream'],
    error: 'stands beside split; remove one of the two',
  })
  .refine(({ sticky, split }) => sticky === undefined || split !== undefined, {
    path: ['sticky'],
    error: 'has nothing to stick to; write split too, or remove it',
  })
  .refine(
    ({ methods, fallback }) =>
      !methods || !fallback || methodsWithoutFallback(fallback.status, methods).length < methods.length,
    {
      path: ['fallback', 'status'],
      error:
        'claims that something was done, so it stands in for GET and HEAD, which methods does not name; write 400 or more',
    },
  )
  .superRefine((route, context) => {
    for (const { place, message } of [...strangeParameters(route), ...sourceProblems(route), ...mirrorProblems(route)])
      context.addIssue({ code: 'custom', path: [...place], message, input: route });
  });

interface Writing extends TransformSettings {
  readonly path: string;
  readonly aggregate?: AggregateSettings | undefined;
  readonly operation?: OperationSettings | undefined;
}

interface RouteProblem {
  readonly place: readonly string[];
  readonly message: string;
}

/** Templates that name what the path has not. */
function strangeParameters(route: Writing): RouteProblem[] {
  if (pathProblem(route.path) !== undefined) return [];
  const given = new Set(pathNames(route.path));
  const transformed = templatesOf(route).flatMap(([place, text]) =>
    // One that is none is told where it stands.
    templateProblem(text) === undefined
      ? new Template(text).params.map((parameter) => [place, parameter] as const)
      : [],
  );
  const asked = route.aggregate
    ? parametersOf(route.aggregate).map(([place, parameter]) => [['aggregate', 'parts', ...place], parameter] as const)
    : [];
  const varied = route.operation
    ? operationParameters(route.operation).map(([place, parameter]) => [['operation', ...place], parameter] as const)
    : [];
  return [...transformed, ...asked, ...varied].flatMap(([place, parameter]) =>
    given.has(parameter)
      ? []
      : [{ place, message: `names {params.${parameter}}, which the path does not have; write one that it has` }],
  );
}

/** What belongs to an answer that is passed through. */
const ofPassThrough = [
  'upstream',
  'split',
  'sticky',
  'transform',
  'rewrite',
  'fallback',
  'headers',
  'query',
  'body',
  'mirror',
] as const;

/** What an answer is made of here, with what else has no meaning beside it. */
const composed = {
  aggregate: [...ofPassThrough, 'operation', 'code', 'maxBodyBytes'],
  code: [...ofPassThrough, 'operation', 'maxBodyBytes'],
  // Its fields say how they are cached, and each operation has a price of its own.
  operation: [...ofPassThrough, 'cache', 'cost'],
} as const;

/** A route passes through to one upstream, or makes one answer of several. */
function sourceProblems(route: { readonly methods?: readonly string[] | undefined }): RouteProblem[] {
  const written = (key: string) => (route as Readonly<Record<string, unknown>>)[key] !== undefined;
  const source = (['aggregate', 'code', 'operation'] as const).find(written);
  if (source === undefined) {
    if (written('upstream') || written('split')) return [];
    const message =
      'is missing; add upstream: text (Upstream that answers, by its name under `upstreams`), or aggregate or operation';
    return [{ place: ['upstream'], message }];
  }
  const reads =
    source === 'operation' ? [] : (route.methods?.filter((verb) => verb !== 'GET' && verb !== 'HEAD') ?? []);
  return [
    ...composed[source]
      .filter(written)
      .map((key) => ({ place: [key], message: `has no meaning beside ${source}; remove one of the two` })),
    ...(reads.length > 0
      ? [
          {
            place: ['methods'],
            message: `has other methods than GET and HEAD, but ${source === 'code' ? 'code' : 'an aggregate'} only reads; remove them`,
          },
        ]
      : []),
  ];
}

/** A copy goes to somebody else, at a path that there is. */
function mirrorProblems({
  path: from,
  upstream,
  mirror,
}: {
  readonly path: string;
  readonly upstream?: string | undefined;
  readonly mirror?: MirrorSettings | undefined;
}): RouteProblem[] {
  if (!mirror) return [];
  const wrong = mirror.rewrite === undefined ? undefined : rewriteProblem(from, mirror.rewrite);
  return [
    ...(mirror.upstream === upstream
      ? [{ place: ['mirror', 'upstream'], message: 'answers the route already; name another' }]
      : []),
    ...(wrong === undefined ? [] : [{ place: ['mirror', 'rewrite'], message: wrong }]),
  ];
}

/** As the program reads it. */
export type RouteSettings = z.output<typeof routeSchema>;

/** As a module or `gateway.yaml` writes it. */
export type RouteInput = z.input<typeof routeSchema>;
