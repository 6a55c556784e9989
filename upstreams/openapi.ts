import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

/** Of a document, what decides how a call is written; all else is of interest only to the types made of it. */
const parameter = z.object({
  name: z.string(),
  in: z.string(),
  style: z.string().optional(),
  explode: z.boolean().optional(),
});
const reference = z.object({ $ref: z.string() });
const parameters = z.array(z.union([reference, parameter])).optional();
const operation = z.object({ parameters });
const document = z.object({
  paths: z.record(
    z.string(),
    z.object({
      parameters,
      get: operation.optional(),
      put: operation.optional(),
      post: operation.optional(),
      patch: operation.optional(),
      delete: operation.optional(),
    }),
  ),
  components: z.object({ parameters: z.record(z.string(), parameter).optional() }).optional(),
});

export type Method = 'get' | 'put' | 'post' | 'patch' | 'delete';

/** OpenAPI 3.1 §4.8.12.3: how the items of a list stand in one query parameter. */
const separators: Readonly<Record<string, string>> = { form: ',', spaceDelimited: '%20', pipeDelimited: '%7C' };

/** The query parameters of an operation whose lists are written in one, by name, with what stands between the items. */
export type Separators = ReadonlyMap<string, string>;

const exploded: Separators = new Map();

/** What the client needs to know of an upstream's OpenAPI document. */
export class OpenapiDocument {
  readonly #document: z.output<typeof document> | undefined;

  /** Without a document every list is repeated, which is OpenAPI's default. */
  constructor(parsed?: z.output<typeof document>) {
    this.#document = parsed;
  }

  /** @throws {Error} when the file cannot be read or is no OpenAPI document */
  static read(url: URL): OpenapiDocument {
    const { success, data, error } = document.safeParse(parse(readFileSync(url, 'utf8')));
    if (!success) throw new Error(z.prettifyError(error));
    return new OpenapiDocument(data);
  }

  separators(method: Method, path: string): Separators {
    const item = this.#document?.paths[path];
    if (!item) return exploded;
    const found = new Map<string, string>();
    for (const stated of [...(item.parameters ?? []), ...(item[method]?.parameters ?? [])]) {
      const query = '$ref' in stated ? this.#resolve(stated.$ref) : stated;
      if (query?.in !== 'query') continue;
      const style = query.style ?? 'form';
      const separator = separators[style];
      if (separator !== undefined && !(query.explode ?? style === 'form')) found.set(query.name, separator);
    }
    return found;
  }

  #resolve(ref: string): z.output<typeof parameter> | undefined {
    const name = /^#\/components\/parameters\/(.+)$/.exec(ref)?.[1];
    return name === undefined ? undefined : this.#document?.components?.parameters?.[name];
  }
}
