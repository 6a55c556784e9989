/** What a module's author imports: everything, and nothing else. In a repository of its own: `import { … } from 'weir'`. */
export { WeirError, type ErrorCode, type WeirErrorOptions } from '#core/errors.ts';
export type { RequestContext } from '#core/context.ts';
export type { Identity } from '#core/identity.ts';
export { sdl } from '#schema/sdl.ts';
export { defineUpstream } from '#upstreams/define.ts';
export { defineTransform, type TransformSample } from '#upstreams/transforms/transform.ts';
export { checkTransform } from '#upstreams/transforms/check.ts';
export type { RequestOf, ResponseOf } from '#upstreams/transforms/types.ts';
export type { UpstreamClient } from '#upstreams/client/client.ts';
export type { UpstreamEvent } from '#upstreams/client/event-feed.ts';
export { batch, each, groupBy, indexBy, type Loading } from '#upstreams/loaders/loader.ts';
export { connection, type Connection, type Page } from './connection.ts';
export { load } from './load.ts';
export { defineModule, type Module, type ModulePolicy } from './module.ts';
export { answer, type CodeRoute, type PathParams, type RouteGiven, type RouteMaker } from './route.ts';
export type { RouteInput } from './route-input.ts';
export type { ModuleContext } from './context.ts';
export type { Register } from './register.ts';
