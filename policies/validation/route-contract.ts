import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';
import { bodyFault, shown, type Fault } from './fault.ts';
import { entryOf, essence, isJson, type CheckedOperation, type CheckedOperations } from './operations.ts';
import { ResponseSample } from './response-sample.ts';
import type { Drift } from './drift.ts';
import type { ValidateSettings } from './settings.ts';

/** Answers that are held at once to be looked at, of one route. */
const maxSamples = 8;

/** What of a request the document does not have, by the code that it is refused with. */
const unknownPart: Readonly<Record<string, string>> = {
  ROUTE_NOT_FOUND: '#/path',
  METHOD_NOT_ALLOWED: '#/method',
  UNSUPPORTED_MEDIA_TYPE: '#/content-type',
};

export interface RouteContractOptions {
  /** Its name. */
  readonly route: string;
  readonly settings: ValidateSettings;
  readonly operations: CheckedOperations;
  readonly drift: Drift;
}

/** Holds what goes through a route to the OpenAPI document of its upstream. */
export class RouteContract {
  readonly #route: string;
  readonly #settings: ValidateSettings;
  readonly #operations: CheckedOperations;
  readonly #drift: Drift;
  #samples = 0;

  constructor({ route, settings, operations, drift }: RouteContractOptions) {
    this.#route = route;
    this.#settings = settings;
    this.#operations = operations;
    this.#drift = drift;
  }

  get checksRequests(): boolean {
    return this.#settings.request !== 'off';
  }

  /** Bodies have to be there as a whole. */
  get readsBodies(): boolean {
    return this.checksRequests && this.#operations.readsBodies;
  }

  /**
   * @param target as the upstream is to get it
   * @throws {WeirError} what the document does not allow, where that is enforced
   */
  check(context: RequestContext, target: string): void {
    // CORS and `Allow` are the gateway's own.
    if (context.method === 'OPTIONS') return;
    try {
      const { operation, parts } = this.#operationOf(context.method, target);
      const faults = [
        ...operation.parameters.faults(parts, context.query, context.headers),
        ...bodyFaults(context, operation),
      ];
      if (this.#settings.request === 'log') this.#drift.note(this.#route, operation.name, 'request', faults);
      else if (faults.length > 0)
        throw new WeirError('REQUEST_INVALID', { detail: summary(faults), extensions: { errors: shown(faults) } });
    } catch (error) {
      if (this.#settings.request === 'enforce' || !(error instanceof WeirError)) throw error;
      this.#drift.note(this.#route, context.method, 'request', [
        { detail: 'is not documented', pointer: unknownPart[error.code] ?? '#' },
      ]);
    }
  }

  /** Holds on to an answer, where it is one of those that are looked at. */
  sample(context: RequestContext, target: string): ResponseSample | undefined {
    const { response, sample } = this.#settings;
    if (response === 'off' || this.#samples >= maxSamples || Math.random() >= sample) return undefined;
    const operation = this.#operations.find(pathOf(target))?.operations.get(methodOf(context.method));
    if (!operation) return undefined;
    this.#samples++;
    const done = () => void this.#samples--;
    const taken = new ResponseSample(operation, context.method === 'HEAD', done, (faults) =>
      this.#drift.note(this.#route, operation.name, 'response', faults),
    );
    context.cancellation.on(() => taken.drop());
    return taken;
  }

  #operationOf(method: string, target: string) {
    const found = this.#operations.find(pathOf(target));
    if (!found) throw new WeirError('ROUTE_NOT_FOUND', { detail: 'The description of this API has no such path.' });
    const operation = found.operations.get(method) ?? found.operations.get(methodOf(method));
    if (operation) return { operation, parts: found.parts };
    const allow = [...found.operations.keys()].join(', ');
    throw new WeirError('METHOD_NOT_ALLOWED', { detail: `This path takes ${allow}.`, headers: { allow } });
  }
}

/** RFC 9110 §9.3.2: HEAD is GET without the content. */
function methodOf(method: string): string {
  return method === 'HEAD' ? 'GET' : method;
}

function pathOf(target: string): string {
  const question = target.indexOf('?');
  return question < 0 ? target : target.slice(0, question);
}

function bodyFaults(context: RequestContext, { body }: CheckedOperation): readonly Fault[] {
  if (!body) return [];
  const { body: bytes, headers, incoming } = context;
  const empty = bytes === undefined ? incoming.length === 0 : bytes.length === 0;
  if (empty) return body.required ? [{ detail: 'The body is missing.', pointer: '#' }] : [];
  const type = essence(firstValue(headers['content-type']) ?? '');
  const entry = entryOf(body.types, type);
  if (!entry) {
    const accept = [...body.types.keys()].join(', ');
    // RFC 9110 §12.5.1: in an answer, Accept says what the next request may be.
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', { detail: `Send the body as ${accept}.`, headers: { accept } });
  }
  if (!entry.check || !bytes || !isJson(type)) return [];
  const coding = firstValue(headers['content-encoding'])?.toLowerCase() ?? 'identity';
  if (coding !== 'identity') {
    const detail = 'A body with a Content-Encoding cannot be checked; send it as it is.';
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', { detail, headers: { 'accept-encoding': 'identity' } });
  }
  try {
    return entry.check.errors(JSON.parse(bytes.toString()), bytes.length).map(bodyFault);
  } catch (error) {
    if (error instanceof SyntaxError) return [{ detail: 'The body is not JSON.', pointer: '#' }];
    // Schemas that refer to themselves are followed by recursion.
    if (error instanceof RangeError) return [{ detail: 'The body is nested too deep.', pointer: '#' }];
    throw error;
  }
}

function summary([first, ...others]: readonly Fault[]): string {
  const { parameter, in: place, pointer = '#', detail } = first!;
  const where =
    parameter === undefined ? (pointer === '#' ? '' : `${pointer} `) : `The ${place} parameter ${parameter} `;
  const more = others.length === 0 ? '' : ` And ${others.length} more; see errors.`;
  return `${where}${detail.replace(/\.$/, '')}.${more}`;
}
