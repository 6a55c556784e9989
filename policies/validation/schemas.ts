import { Ajv2020, type AnySchema, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { isMap, type JsonMap } from '#upstreams/service-document.ts';

const common = {
  strict: false,
  // Documents are not always schemas in every part, and are trusted.
  validateSchema: false,
  logger: false,
  discriminator: true,
  unicodeRegExp: false,
  // Of an error, the value is needed to say what it is instead; it is never printed.
  verbose: true,
} as const;

/** Above this many bytes only the first error is looked for: a list of a million wrong items would have as many. */
const thoroughBytes = 16 * 1024;

const documentId = 'weir:document';

/** Of a body's schema. */
export interface BodyCheck {
  /** What is wrong; empty when nothing is. */
  errors(value: unknown, bytes: number): readonly ErrorObject[];
}

/** Compiles the schemas of one document, at boot. */
export class Schemas {
  /** Values of URLs and headers are texts, whatever they mean. */
  readonly #texts: Ajv2020;
  readonly #quick: Ajv2020;
  readonly #thorough: Ajv2020;

  constructor(document: JsonMap) {
    const withDocument = (options: object) => {
      const ajv = new Ajv2020({ ...common, ...options });
      formats.default(ajv);
      return ajv.addSchema(document, documentId);
    };
    this.#texts = withDocument({ coerceTypes: true, allErrors: true });
    this.#quick = withDocument({ allErrors: false });
    this.#thorough = withDocument({ allErrors: true });
  }

  /** @throws {Error} when the schema cannot be used */
  texts(schema: JsonMap): ValidateFunction {
    return this.#texts.compile(absolute(schema) as AnySchema);
  }

  /** @throws {Error} when the schema cannot be used */
  body(schema: unknown): BodyCheck {
    const own = absolute(schema) as AnySchema;
    const [quick, thorough] = [this.#quick.compile(own), this.#thorough.compile(own)];
    return {
      errors(value, bytes) {
        if (quick(value)) return [];
        if (bytes > thoroughBytes) return quick.errors ?? [];
        void thorough(value);
        return thorough.errors ?? [];
      },
    };
  }
}

/** References of a part lead into the document that it was taken from. */
function absolute(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(absolute);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      key === '$ref' && typeof child === 'string' && child.startsWith('#') ? documentId + child : absolute(child),
    ]),
  );
}
