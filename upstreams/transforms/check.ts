import { isDeepStrictEqual } from 'node:util';
import { WeirError } from '#core/errors.ts';
import type { Operation } from './api-document.ts';
import { misfit, type JsonSchema } from './json-schema.ts';
import { Losses } from './losses.ts';
import { madeUp, seeded, type Draw } from './made-up.ts';
import type { Taken, Transform, TransformSample } from './transform.ts';
import type { AnyAnswer, AnyRequest } from './types.ts';

export interface CheckOptions {
  /** Made-up requests of each operation, each with an answer of each status. Default 20. */
  readonly runs?: number;
  /** Where made-up values come from. Default: the same ones every time. */
  readonly draw?: Draw;
}

/** The same mistake shows in every run. */
const maxProblems = 20;

/**
 * Takes a transform's samples, and values made up from the documents of both versions, there and back: what is thrown, what
 * does not fit the document that it is for, what a sample says otherwise, and what is lost without standing under `lossy`.
 * @returns a sentence each; empty for a sound transform
 */
export function checkTransform(transform: Transform, options: CheckOptions = {}): readonly string[] {
  const check = new Check(transform, options.draw ?? seeded(20_261_121));
  for (const [index, sample] of (transform.definition.samples ?? []).entries()) check.sample(sample, index);
  for (const operation of transform.from.operations)
    for (let run = 0; run < (options.runs ?? 20); run++) check.run(operation);
  return check.problems();
}

class Check {
  readonly #transform: Transform;
  readonly #draw: Draw;
  readonly #problems = new Set<string>();
  readonly #requests = new Map<string, Losses>();
  readonly #responses = new Map<string, Losses>();

  constructor(transform: Transform, draw: Draw) {
    this.#transform = transform;
    this.#draw = draw;
  }

  problems(): readonly string[] {
    const { lossy = [], from, to } = this.#transform.definition;
    const lost = [...this.#requests].flatMap(([key, losses]) =>
      losses
        .lost(lossy)
        .map((pointer) => `${key}: ${pointer} is lost on the way to ${to}; map it, or list it under lossy`),
    );
    const lostBack = [...this.#responses].flatMap(([key, losses]) =>
      losses
        .lost(lossy)
        .map((pointer) => `${key}: ${pointer} is lost on the way to ${from}; map it, or list it under lossy`),
    );
    return [...this.#problems, ...lost, ...lostBack].slice(0, maxProblems);
  }

  sample({ request: written, becomes, answer, gives }: TransformSample, index: number): void {
    const name = `samples[${index}]`;
    const operation = this.#transform.from.get(written.operation);
    if (!operation) {
      this.#problems.add(`${name}: ${written.operation} is no operation of its document`);
      return;
    }
    const request = { params: {}, query: {}, headers: {}, body: undefined, ...(written as Partial<AnyRequest>) };
    const taken = this.#take(operation, request as AnyRequest, name);
    if (!taken) return;
    if (becomes) this.#compare(`${name}.becomes`, becomes, taken.outgoing);
    if (!answer) return;
    const brought = this.#bring(taken, { headers: {}, ...answer }, name);
    if (brought && gives) this.#compare(`${name}.gives`, gives, brought);
  }

  run(operation: Operation): void {
    const request = this.#request(operation);
    if (!request) return;
    const taken = this.#take(operation, request, operation.key);
    if (!taken) return;
    this.#lookAtRequest(operation, request);
    for (const [status, schema] of taken.operation.responses) {
      if (!schema) continue;
      const body = this.#make(schema, taken.operation.key, this.#transform.to.resolve);
      if (body === undefined) return;
      const answer = { status: statusFor(status), body };
      const place = `${taken.operation.key} ${status}`;
      const brought = this.#bring(taken, answer, place);
      if (!brought) continue;
      const losses = entry(this.#responses, place);
      const back = (other: unknown) => plain(this.#transform.bring(taken, { ...answer, headers: {}, body: other }));
      losses.look('/response/body', body, schema, this.#transform.to.resolve, this.#draw, back);
    }
  }

  #request(operation: Operation): AnyRequest | undefined {
    const params: Record<string, unknown> = {};
    const query: Record<string, unknown> = {};
    const { resolve } = this.#transform.from;
    for (const { place, name, required, schema } of operation.parameters) {
      if (place !== 'path' && place !== 'query') continue;
      if (!required && place === 'query' && this.#draw(3) === 0) continue;
      const value = this.#make(schema, operation.key, resolve);
      if (value === undefined) return undefined;
      (place === 'path' ? params : query)[name] = value;
    }
    const body = operation.body && this.#make(operation.body, operation.key, resolve);
    if (operation.body && body === undefined) return undefined;
    return { operation: operation.key, params: texts(params), query: texts(query), headers: {}, body } as AnyRequest;
  }

  #lookAtRequest(operation: Operation, request: AnyRequest): void {
    const losses = entry(this.#requests, operation.key);
    const { resolve } = this.#transform.from;
    const sent = (other: AnyRequest) => {
      const { outgoing, path } = this.#transform.take(other);
      return plain({ path, operation: outgoing.operation, headers: outgoing.headers, body: outgoing.body });
    };
    const look = (part: 'params' | 'query' | 'body', schema: JsonSchema) =>
      losses.look(`/request/${part}`, request[part], schema, resolve, this.#draw, (other) =>
        sent({ ...request, [part]: part === 'body' ? other : texts(other as object) }),
      );
    const inPlace = (place: string): JsonSchema => ({
      properties: Object.fromEntries(
        operation.parameters.filter((one) => one.place === place).map(({ name, schema }) => [name, schema]),
      ),
    });
    look('params', inPlace('path'));
    look('query', inPlace('query'));
    if (operation.body) look('body', operation.body);
  }

  #make(schema: JsonSchema, key: string, resolve: (schema: JsonSchema) => JsonSchema): unknown {
    try {
      return madeUp(schema, this.#draw, resolve);
    } catch (error) {
      this.#problems.add(`${key}: no value can be made up: ${(error as Error).message}`);
      return undefined;
    }
  }

  #take(operation: Operation, request: AnyRequest, name: string): Taken | undefined {
    let taken: Taken;
    try {
      taken = this.#transform.take(request);
    } catch (error) {
      // A refusal is an answer too.
      if (!(error instanceof WeirError)) this.#problems.add(`${name}: request throws: ${(error as Error).message}`);
      return undefined;
    }
    const { body } = taken.operation;
    const sent = plain(taken.outgoing.body);
    const found = body && request.body !== undefined ? misfit(body, sent, this.#transform.to.resolve) : undefined;
    const { to } = this.#transform.definition;
    if (found && this.#fits(operation, request))
      this.#problems.add(`${name}: the body for ${to} does not fit at '${found.pointer}': expected ${found.expected}`);
    return taken;
  }

  /** Samples may be wrong on purpose. */
  #fits({ body }: Operation, request: AnyRequest): boolean {
    return !body || misfit(body, request.body, this.#transform.from.resolve) === undefined;
  }

  #bring(taken: Taken, answer: AnyAnswer & { readonly headers?: object }, name: string): AnyAnswer | undefined {
    let brought: AnyAnswer;
    try {
      const { status, body } = answer;
      brought = this.#transform.bring(taken, { status, headers: { ...answer.headers }, body });
    } catch (error) {
      this.#problems.add(`${name}: response throws: ${(error as Error).message}`);
      return undefined;
    }
    const { from } = this.#transform.definition;
    const operation = this.#transform.from.get(taken.request.operation)!;
    const stated = this.#transform.speaksOf(operation, brought.status);
    if (!stated) {
      this.#problems.add(`${name}: its document of ${from} has no status ${brought.status} for ${operation.key}`);
    } else if (stated.schema) {
      const found = misfit(stated.schema, plain(brought.body), this.#transform.from.resolve);
      if (found)
        this.#problems.add(
          `${name}: the body for ${from} does not fit at '${found.pointer}': expected ${found.expected}`,
        );
    }
    return brought;
  }

  #compare(name: string, wanted: object, got: object): void {
    for (const [key, value] of Object.entries(wanted)) {
      const found = plain((got as Readonly<Record<string, unknown>>)[key]);
      if (!isDeepStrictEqual(found, plain(value)))
        this.#problems.add(`${name}.${key} is ${JSON.stringify(value)}, but it came out as ${JSON.stringify(found)}`);
    }
  }
}

function entry(all: Map<string, Losses>, key: string): Losses {
  let losses = all.get(key);
  if (!losses) all.set(key, (losses = new Losses()));
  return losses;
}

/** As it goes on the wire. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Parameters are text, whatever their schema. */
function texts(parameters: object): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]: [string, unknown]) => [
      name,
      Array.isArray(value) ? value.map(text) : text(value),
    ]),
  );
}

/** One that stands for its family. */
function statusFor(status: string): number {
  const exact = Number(status);
  if (Number.isInteger(exact)) return exact;
  return status === 'DEFAULT' ? 500 : Number(status[0]) * 100;
}
