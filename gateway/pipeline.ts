import { authenticate, type Verifiers } from '#policies/auth/authenticate.ts';
import { authorize } from '#policies/auth/authorize.ts';
import { keepOut, keepOutConsumer } from '#policies/auth/blocked.ts';
import { body } from '#policies/body/body.ts';
import { compress, compression } from '#policies/compression/compression.ts';
import { cors, corsOfRoute } from '#policies/cors/cors.ts';
import { priceDocument } from '#policies/cost/cost.ts';
import { deadline as clientDeadline } from '#policies/deadline/deadline.ts';
import { limitDocument } from '#policies/document-limits/document-limits.ts';
import { countTokens } from '#policies/document-limits/tokens.ts';
import { guard } from '#policies/guard/guard.ts';
import type { Limits } from '#policies/limits/limits.ts';
import { charge, perIp } from '#policies/limits/stages.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import { overload, shed } from '#policies/overload/overload.ts';
import { securityHeaders } from '#policies/security-headers/security-headers.ts';
import { retire } from '#policies/retirement/retirement.ts';
import { validation } from '#policies/validation/validation.ts';
import type { Layer } from '#upstreams/layer.ts';
import { attemptTimeout } from '#upstreams/layers/attempt-timeout.ts';
import { balancer } from '#upstreams/layers/balancer.ts';
import { breaker } from '#upstreams/layers/breaker.ts';
import { bulkhead } from '#upstreams/layers/bulkhead.ts';
import { cache } from '#upstreams/layers/cache.ts';
import { collapse } from '#upstreams/layers/collapse.ts';
import { debug } from '#upstreams/layers/debug.ts';
import { deadline } from '#upstreams/layers/deadline.ts';
import { identity } from '#upstreams/layers/identity.ts';
import { meter } from '#upstreams/layers/meter.ts';
import { retry } from '#upstreams/layers/retry.ts';
import { transform } from '#upstreams/layers/transform.ts';
import type { GatewayConfig } from './config/schema.ts';
import { parseDocument, validateDocument, type DocumentPhase } from './graphql/phases.ts';
import { routing, type GatewayRoutes } from './routing/routing.ts';
import type { Stage } from './stage.ts';

/** The stages of a request, by whichever door it came: REST, GraphQL, each WebSocket upgrade. Cheap refusals come first. */
export function requestStages(
  config: GatewayConfig,
  routes: GatewayRoutes,
  load: LoadShedder,
  verifiers: Verifiers,
  uses: (what: string, consumer: string) => void,
  limits: Limits,
): readonly Stage[] {
  const crossOrigin = cors(config.cors);
  return [
    { name: 'security-headers', policy: securityHeaders(config.headers), why: 'refusals are answers too' },
    { name: 'overload', policy: overload(load), why: 'refusing costs less than what it refuses' },
    { name: 'guard', policy: guard, why: 'nothing may be matched against a target that can be read in two ways' },
    { name: 'blocked', policy: keepOut(verifiers.blocked), why: 'whom an operator keeps out costs nothing more' },
    { name: 'per-ip', policy: perIp(limits), why: 'by address alone, in memory: a flood pays for nothing below' },
    { name: 'route', policy: routing(routes, crossOrigin), why: 'all that follows depends on it' },
    {
      name: 'cors',
      policy: corsOfRoute(crossOrigin),
      why: 'a preflight ends here; scripts can read later errors only with its headers',
    },
    {
      name: 'compress',
      policy: compress(compression(config.compression)),
      why: 'below the route, which may say how; the reply does it on the way out, refusals from here on included',
    },
    { name: 'shed', policy: shed(load), why: 'the first that knows how much the request matters' },
    { name: 'authenticate', policy: authenticate(verifiers), why: 'below preflights, which carry no credentials' },
    { name: 'blocked-consumer', policy: keepOutConsumer(verifiers.blocked), why: 'the first that knows who it is' },
    { name: 'authorize', policy: authorize, why: 'who may not come in is not waited for' },
    { name: 'retirement', policy: retire(uses), why: 'below those that know who still calls it' },
    { name: 'deadline', policy: clientDeadline, why: 'the clock runs before the first thing that may wait: the body' },
    { name: 'body', policy: body, why: 'whole before anyone looks into it, and below all that needs the head alone' },
    { name: 'validate', policy: validation, why: 'against the document of the API, which speaks of the body too' },
    { name: 'charge', policy: charge(limits), why: 'last before work is done: what is refused above costs nothing' },
  ];
}

/** The phases of a GraphQL document, after the stages above and before it is executed: once per text, then kept. */
export const documentPhases: readonly DocumentPhase[] = [
  { name: 'tokens', run: countTokens, why: 'before parsing: a parser that is fed a bomb is too late to refuse it' },
  { name: 'parse', run: parseDocument, why: 'everything after works on the document' },
  { name: 'limits', run: limitDocument, why: 'depth, aliases and root fields bound the cost of validating' },
  { name: 'validate', run: validateDocument, why: 'against the schema; all that is known of it follows' },
  { name: 'cost', run: priceDocument, why: 'only what is valid has a price; what it comes to depends on variables' },
];

/** The layers of a call to an upstream, whoever makes it, from the caller down to the wire. */
export const upstreamLayers: readonly { readonly layer: Layer; readonly why: string }[] = [
  { layer: deadline, why: 'outermost: no wait further down, for a probe, a retry or a connection, may outlast it' },
  { layer: identity, why: 'above what shares answers: what the upstream is shown is part of the key of what it said' },
  { layer: transform, why: 'above what shares answers: what is shared is what the upstream itself was asked and said' },
  { layer: cache, why: 'below identity, which is part of its key; above the meter: what is stored costs nothing' },
  { layer: collapse, why: 'above the meter: a read that rides on another is no call' },
  { layer: meter, why: 'above retry: a call is paid once, whatever its attempts' },
  { layer: retry, why: 'above the breaker: every attempt is a verdict, and an open breaker ends the retries' },
  { layer: breaker, why: 'above the bulkhead: a refusal takes no place, and a full one says nothing of the upstream' },
  { layer: bulkhead, why: 'above the balancer: it bounds the upstream as a whole, whichever endpoint is chosen' },
  { layer: balancer, why: 'one choice per attempt, so that a retry goes elsewhere' },
  { layer: attemptTimeout, why: 'times one endpoint, and stamps what is different for each attempt' },
  { layer: debug, why: 'innermost: shows an attempt as it goes on the wire, where an operator asked to see it' },
];
