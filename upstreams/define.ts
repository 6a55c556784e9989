import type { UpstreamInput } from './settings.ts';

/** Carries the types of an upstream's OpenAPI document from its definition to its client; nothing at run time. */
declare const paths: unique symbol;

/** What a module says of a service: its API, and the defaults of its settings. Where it runs says `gateway.yaml`. */
export interface UpstreamDefinition<out Paths = unknown> {
  readonly [paths]?: Paths;
  /** The file that defines it. */
  readonly file: URL;
  /** Its OpenAPI document, YAML or JSON. */
  readonly openapi: URL | undefined;
  readonly settings: Partial<UpstreamInput>;
  /** The name of the transform through which clients call it. */
  readonly transform?: string | undefined;
}

export interface UpstreamOptions extends Partial<UpstreamInput> {
  /** The OpenAPI document, relative to the defining file. `weir types` makes `paths` of it; the client reads parameter styles there. */
  readonly openapi?: string;
  /**
   * The name of one of the module's transforms: clients then speak the version that it is from, so `Paths` is of that one,
   * and the service is called in the version that `openapi` describes.
   */
  readonly transform?: string;
}

/**
 * Defines an upstream. `Paths` is what `weir types` generated from the document; without it every path is taken, and
 * answers are `unknown`.
 * @param meta `import.meta` of the defining file
 */
export function defineUpstream<Paths = unknown>(
  meta: { readonly url: string },
  options: UpstreamOptions = {},
): UpstreamDefinition<Paths> {
  const { openapi, transform, ...settings } = options;
  return {
    file: new URL(meta.url),
    openapi: openapi === undefined ? undefined : new URL(openapi, meta.url),
    settings,
    transform,
  };
}
