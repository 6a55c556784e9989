import type { OperationFacts } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { IncrementalFormat } from './accept.ts';
import type { PreparedOperation } from './prepare.ts';

/** What a transport can do for an operation. */
export interface Delivery {
  /** How `@defer` and `@stream` are answered; undefined: with one complete answer. */
  readonly incremental: IncrementalFormat | undefined;
  readonly mutations: boolean;
  readonly subscriptions: boolean;
}

/**
 * GetOperation (GraphQL §6.1).
 * @throws {WeirError} `BAD_USER_INPUT`
 */
export function selectOperation(operations: readonly PreparedOperation[], name: string | undefined): PreparedOperation {
  const [first] = operations;
  if (!first) throw refuse('The document has no operation, only fragments.');
  if (name === undefined) {
    if (operations.length === 1) return first;
    throw refuse('The document has several operations; name one of them in `operationName`.');
  }
  const operation = operations.find(({ facts }) => facts.name === name);
  if (!operation) throw refuse('The document has no operation of the name in `operationName`.');
  return operation;
}

/** @throws {WeirError} `METHOD_NOT_ALLOWED`, `NOT_ACCEPTABLE` */
export function checkDelivery({ type }: OperationFacts, delivery: Delivery): void {
  if (type === 'mutation' && !delivery.mutations) {
    // GraphQL over HTTP, §4.3: GET is safe (RFC 9110 §9.2.1), and any page can make a browser send one.
    throw new WeirError('METHOD_NOT_ALLOWED', { detail: 'A mutation is sent by POST.', headers: { allow: 'POST' } });
  }
  if (type === 'subscription' && !delivery.subscriptions) {
    const detail = 'A subscription is answered as text/event-stream, alone in its request, or over WebSocket.';
    throw new WeirError('NOT_ACCEPTABLE', { detail });
  }
}

function refuse(detail: string): WeirError {
  return new WeirError('BAD_USER_INPUT', { detail });
}
