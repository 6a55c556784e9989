import type { Criticality } from '#core/criticality.ts';

/** A REST path that a module brings, in the words of `routes` in gateway.yaml. */
export interface RouteInput {
  /** For logs, metrics and `replaces`; unique. */
  name?: string;
  /** In the path syntax of Express 5: `/v1/orders{/*rest}`. */
  path: string;
  /** All when left out. */
  methods?: string[];
  host?: string;
  match?: { headers?: Record<string, string>; query?: Record<string, string> };
  /** That answers; or `aggregate` or `operation`. */
  upstream?: string;
  /** One answer from calls to several upstreams; see docs/aggregates.md. */
  aggregate?: { parts: Record<string, AggregatePartInput>; schema?: Record<string, unknown> };
  /** A trusted GraphQL document that answers; see docs/operations-as-routes.md. */
  operation?: string | OperationInput;
  /** A copy of some requests for another upstream; see docs/mirroring.md. */
  mirror?: {
    upstream: string;
    percent?: number;
    methods?: string[];
    rewrite?: string;
    maxInFlight?: number;
    maxBodyBytes?: string;
  };
  /** Written by `route.get(…)`, which answers it. */
  code?: string;
  /** The path at the upstream, with parameters of `path`; the same path when left out. */
  rewrite?: string;
  timeout?: string;
  maxBodyBytes?: string;
  /** Which version of a group under `versions` it is. */
  version?: { of: string; is: string };
  /** That it is on its way out; see docs/versioning.md. */
  deprecated?: {
    since: string;
    sunset?: string;
    successor?: string;
    link?: string;
    brownouts?: { from: string; for: string; every?: string; status?: 410 | 503 }[];
  };
  /** The name of the transform between the version that the route serves and the upstream's. */
  transform?: string;
  /** The answer where the upstream fails; see docs/resilience.md. */
  fallback?: { status?: number; body?: unknown; headers?: Record<string, string> };
  replaces?: string;
  /** Who may call it; a bare word is short for { mode }. */
  auth?:
    | 'required'
    | 'optional'
    | 'none'
    | {
        mode?: 'required' | 'optional' | 'none';
        accept?: ('jwt' | 'apiKey' | 'introspection' | 'mtls')[];
        scopes?: { all?: string[]; any?: string[] };
        roles?: string[];
        rule?: string;
      };
  /** Price of a request in upstream calls; what it calls when left out. */
  cost?: number;
  /** Limits of this route, besides those of the tier; in the words of gateway.yaml. */
  limits?: LimitInput[];
  /** How answers of upstreams are stored where they say nothing; see docs/caching.md. */
  cache?:
    | false
    | {
        ttl?: string;
        staleWhileRevalidate?: string;
        staleIfError?: string;
        scope?: 'shared' | 'consumer' | 'subject';
        tags?: string[];
      };
  /** What is refused first when not all requests can be served: `sheddable`, then `default`, then `critical`. Default `default`. */
  criticality?: Criticality;
  /** Which pages of other origins may read its answers; what is left out is as `cors` of the file says. */
  cors?: {
    origins?: string[];
    credentials?: boolean;
    methods?: string[];
    allowHeaders?: string[];
    exposeHeaders?: string[];
    maxAge?: string;
  };
  /** What of it is held to the OpenAPI document of its upstream; see docs/contracts.md. */
  validate?: { request?: 'enforce' | 'log' | 'off'; response?: 'log' | 'off'; sample?: number };
  /** Stands in `/openapi.json`. Default true. */
  documented?: boolean;
  /** How its answers are compressed; what is left out is as `compression` of the file says. */
  compression?: 'off' | { minBytes?: string; types?: string[]; algorithms?: ('br' | 'zstd' | 'gzip')[] };
  /** Headers, query and JSON fields that are renamed, then removed, then set; see docs/transforms.md. */
  headers?: { request?: HeaderChanges; response?: HeaderChanges };
  query?: HeaderChanges;
  body?: { request?: FieldChanges; response?: FieldChanges };
}

interface OperationInput {
  document: string;
  name?: string;
  variables?: Record<string, string>;
  result?: string;
  status?: number;
  errors?: Record<string, number>;
}

interface AggregatePartInput {
  upstream?: string;
  path?: string;
  query?: Record<string, string>;
  loader?: string;
  key?: string;
  params?: Record<string, unknown>;
  from?: string;
  pick?: string[];
  rename?: Record<string, string>;
  into?: string | false;
  join?: { to: string; on: string; key?: string; as: string; many?: boolean };
  optional?: boolean;
  fallback?: unknown;
  timeout?: string;
}

interface HeaderChanges {
  rename?: Record<string, string>;
  remove?: string[];
  /** With templates, such as `{consumer.id}`. */
  set?: Record<string, string>;
}

interface FieldChanges {
  rename?: Record<string, string>;
  remove?: string[];
  set?: Record<string, unknown>;
}

interface LimitInput {
  name: string;
  algorithm?: 'sliding-window' | 'token-bucket' | 'fixed-window';
  unit?: 'cost' | 'requests' | 'concurrent';
  by?: 'ip' | 'consumer' | 'subject' | 'key' | 'tenant' | 'route' | 'operation';
  quota: number;
  window?: string;
  burst?: number;
  shadow?: boolean;
}
