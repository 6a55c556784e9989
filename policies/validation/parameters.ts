import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { firstValue, type Headers } from '#core/headers.ts';
import { isMap, type JsonMap, type ServiceDocument, type ServiceOperation } from '#upstreams/service-document.ts';
import type { Schemas } from './schemas.ts';
import { detailOf, type Fault } from './fault.ts';

type Place = 'path' | 'query' | 'header';

interface Parameter {
  readonly name: string;
  readonly place: Place;
  readonly form: 'text' | 'list' | 'json';
  /** Between the items of a list that is written once; undefined where the parameter is repeated. */
  readonly separator: string | undefined;
}

/** OpenAPI 3.1 §4.8.12.2: what of these a request carries is said elsewhere. */
const elsewhere: ReadonlySet<string> = new Set(['accept', 'content-type', 'authorization']);

const separators: Readonly<Record<string, string>> = { spaceDelimited: ' ', pipeDelimited: '|' };

/** The parameters of an operation: how they are written, and what they may be. Cookies and objects are not looked at. */
export class Parameters {
  readonly #parameters: readonly Parameter[];
  readonly #validate: ValidateFunction | undefined;
  readonly #readsQuery: boolean;

  /** @throws {Error} when a schema cannot be used */
  constructor({ parameters }: ServiceOperation, document: ServiceDocument, schemas: Schemas) {
    const stated = parameters.flatMap((parameter) => {
      const read = readParameter(parameter, document);
      return read ? [{ ...read, required: parameter.required === true }] : [];
    });
    this.#parameters = stated.map(({ parameter }) => parameter);
    this.#readsQuery = this.#parameters.some(({ place }) => place === 'query');
    const places = (['path', 'query', 'header'] as const).map((place) => {
      const own = stated.filter(({ parameter }) => parameter.place === place);
      const properties = Object.fromEntries(own.map(({ parameter, schema }) => [parameter.name, schema]));
      const required = own.filter((each) => each.required).map(({ parameter }) => parameter.name);
      return [place, { type: 'object', properties, required }] as const;
    });
    const schema = { type: 'object', properties: Object.fromEntries(places) };
    this.#validate = stated.length === 0 ? undefined : schemas.texts(schema);
  }

  /** What is wrong with them; empty when nothing is. */
  faults(parts: Readonly<Record<string, string>>, query: string, headers: Headers): readonly Fault[] {
    if (!this.#validate) return [];
    const asked = this.#readsQuery ? new URLSearchParams(query) : undefined;
    const values: Record<Place, Record<string, unknown>> = { path: {}, query: {}, header: {} };
    for (const parameter of this.#parameters) {
      const { name, place } = parameter;
      const value =
        place === 'query'
          ? queryValue(parameter, asked!)
          : textValue(parameter, place === 'path' ? parts[name] : firstValue(headers[name.toLowerCase()]));
      if (value !== undefined) values[place][name] = value;
    }
    return this.#validate(values) ? [] : (this.#validate.errors ?? []).map(faultOf);
  }
}

function readParameter(
  stated: JsonMap,
  document: ServiceDocument,
): { readonly parameter: Parameter; readonly schema: unknown } | undefined {
  const { name, in: place, content, style } = stated;
  if (typeof name !== 'string' || (place !== 'path' && place !== 'query' && place !== 'header')) return undefined;
  if (place === 'header' && elsewhere.has(name.toLowerCase())) return undefined;
  if (isMap(content)) {
    const media = content['application/json'];
    if (!isMap(media)) return undefined;
    return { parameter: { name, place, form: 'json', separator: undefined }, schema: media.schema ?? true };
  }
  const schema = document.resolve(stated.schema ?? true);
  const types = isMap(schema) ? [schema.type].flat() : [];
  if (types.includes('object') || style === 'deepObject' || style === 'matrix' || style === 'label') return undefined;
  const list = types.includes('array');
  const form = typeof style === 'string' ? style : place === 'query' ? 'form' : 'simple';
  const repeated = form === 'form' && stated.explode !== false;
  const separator = list && !repeated ? (separators[form] ?? ',') : undefined;
  return { parameter: { name, place, form: list ? 'list' : 'text', separator }, schema: stated.schema ?? true };
}

function queryValue(parameter: Parameter, asked: URLSearchParams): unknown {
  const values = asked.getAll(parameter.name);
  if (values.length === 0) return undefined;
  if (parameter.form === 'list' && parameter.separator === undefined) return values;
  // Written twice it has no one value, and the schema of one takes no list.
  return values.length > 1 ? values : textValue(parameter, values[0]);
}

function textValue({ form, separator, place }: Parameter, sent: string | undefined): unknown {
  if (sent === undefined) return undefined;
  const text = place === 'path' ? decoded(sent) : sent;
  if (form === 'list') return text.split(separator ?? ',').map((item) => (place === 'header' ? item.trim() : item));
  if (form === 'text') return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The first two steps of the way are the place and the name. */
function faultOf(error: ErrorObject): Fault {
  const missing = error.keyword === 'required' ? String(error.params.missingProperty) : undefined;
  const [, place = '', name = missing ?? '', ...rest] = error.instancePath.split('/');
  const parameter = name.replaceAll('~1', '/').replaceAll('~0', '~');
  return {
    detail: detailOf(error),
    in: place,
    parameter,
    ...(rest.length > 0 && { pointer: `#/${rest.join('/')}` }),
    error,
  };
}
