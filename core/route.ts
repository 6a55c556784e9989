import type { Criticality } from './criticality.ts';
import type { RequestContext } from './context.ts';
import type { WeirError } from './errors.ts';
import type { CredentialKind } from './identity.ts';
import type { ContentCoding } from './reply.ts';

/** The way out of the pipeline that a route leads to. */
export type Door = 'rest' | 'graphql' | 'limits' | 'page';

/** What a route asks of who calls it. */
export interface Requirement {
  /** `optional`: who shows a credential is checked, who shows none is anonymous. `none`: nobody is asked. */
  readonly mode: 'required' | 'optional' | 'none';
  /** Kinds of credential that count; all when undefined. */
  readonly accept: ReadonlySet<CredentialKind> | undefined;
  readonly allScopes: readonly string[];
  /** One of these; none is needed when empty. */
  readonly anyScopes: readonly string[];
  readonly roles: readonly string[];
  /** Whether a request meets the route's rule; undefined where it has none. */
  readonly rule: ((context: RequestContext) => boolean) | undefined;
}

/** Says in the reply which pages of other origins may read it, and answers a preflight. */
export type CrossOrigin = (context: RequestContext) => void;

/** How a route comes to its end. */
export interface Retirement {
  /** Fields of every answer: RFC 9745, RFC 8594, RFC 8288. */
  readonly deprecation: string;
  readonly sunset: string | undefined;
  readonly link: string | undefined;
  /** Why it is not served at this time of the wall clock; undefined while it is. */
  refusalAt(nowMs: number): WeirError | undefined;
}

/** What every policy may know of the route that a request matched. Doors keep what only they need in types of their own. */
export interface Route {
  /** Unique and bounded by the configuration: the label of logs and metrics. */
  readonly name: string;
  readonly door: Door;
  /** The path pattern as written. */
  readonly path: string;
  readonly requirement: Requirement;
  readonly maxBodyBytes: number;
  /** The body is passed on as it comes instead of being read, above this many bytes or when its length is not known. */
  readonly bufferBytes: number;
  /** Throws a `WeirError` for a request that its API does not allow; left out where that is not looked at. */
  readonly checkRequest?: ((context: RequestContext) => void) | undefined;
  /** How much its requests matter under load; left out where each operation has a criticality of its own. */
  readonly criticality?: Criticality | undefined;
  /** In place of what is said for all routes. */
  readonly cors?: CrossOrigin | undefined;
  /** The same. */
  readonly coding?: ContentCoding | undefined;
  /** Undefined for a route that stays. */
  readonly retirement?: Retirement | undefined;
  /** As what its use is written down; undefined where it is not. */
  readonly usedAs?: string | undefined;
  /** Thousandths of a call; left out where each operation has a price of its own, and where nothing is called. */
  readonly cost?: number | undefined;
  /** The cost is paid as a whole when anything was called, whatever it was; else what was called is paid. */
  readonly flat?: boolean;
}
