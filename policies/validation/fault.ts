import type { ErrorObject } from 'ajv/dist/2020.js';

/** Something that is not as the document says. */
export interface Fault {
  /** For the reader; never the value itself. */
  readonly detail: string;
  /** Place in a body, as RFC 9457 §3 shows it: a JSON Pointer (RFC 6901 §6) after #. */
  readonly pointer?: string;
  readonly parameter?: string;
  readonly in?: string;
  readonly error?: ErrorObject;
}

/** In a problem; what comes after is of the same kind. */
const maxFaults = 20;

/** As a client reads them. */
export function shown(faults: readonly Fault[]): readonly object[] {
  return faults.slice(0, maxFaults).map(({ detail, pointer, parameter, in: place }) => ({
    detail,
    ...(pointer !== undefined && { pointer }),
    ...(parameter !== undefined && { parameter, in: place }),
  }));
}

export function bodyFault(error: ErrorObject): Fault {
  const { keyword, params, instancePath } = error;
  const missing = keyword === 'required' ? `/${escaped(String(params.missingProperty))}` : '';
  const surplus =
    keyword === 'additionalProperties' ? `/${escaped(String(params.additionalProperty).slice(0, 64))}` : '';
  return {
    detail: detailOf(error),
    pointer: `#${encodeURI((instancePath + missing + surplus).toWellFormed())}`,
    error,
  };
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function detailOf({ keyword, params, message = 'is not allowed' }: ErrorObject): string {
  if (keyword === 'required') return 'is missing';
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') return 'is not known here';
  if (keyword === 'enum') return `must be one of ${(params.allowedValues as unknown[]).map(String).join(', ')}`;
  if (keyword === 'const') return `must be ${String(params.allowedValue)}`;
  return message;
}
