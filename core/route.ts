/** The way out of the pipeline that a route leads to. */
export type Door = 'rest' | 'graphql' | 'page';

/** What every policy may know of the route that a request matched. Doors keep what only they need in types of their own. */
export interface Route {
  /** Unique and bounded by the configuration: the label of logs and metrics. */
  readonly name: string;
  readonly door: Door;
  /** The path pattern as written. */
  readonly path: string;
  readonly maxBodyBytes: number;
  /** The body is passed on as it comes instead of being read, above this many bytes or when its length is not known. */
  readonly bufferBytes: number;
}
