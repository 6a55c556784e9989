import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorRow, WeirError, type ErrorCode } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';
import type { UnroutedRequest } from '#gateway/telemetry/access-log.ts';
import { requestId, schemeOf } from './arrival.ts';
import type { ClientAddresses } from './client-address.ts';
import { errorAnswer, type ErrorForm } from './error-reply.ts';
import { sendSoon, type ReadyAnswer } from './turn.ts';

/** Stands where the id of the request will. */
const idMark = '\u0000';

/**
 * Answers requests before anything is made of them: all of it is ready but for the id, and goes out in one write. The
 * connection is kept, since making a new one costs both sides more than the refusal did.
 */
export class EarlyRefusal {
  readonly #code: ErrorCode;
  readonly #status: number;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #before: string;
  readonly #after: string;

  /** @param form of the door that it stands before */
  constructor(code: ErrorCode, form: ErrorForm) {
    const error = new WeirError(code);
    const { body, headers: fields } = errorAnswer(error, form, idMark);
    const [before, after] = body.split(JSON.stringify(idMark).slice(1, -1)) as [string, string];
    this.#code = code;
    this.#status = error.status;
    this.#before = before;
    this.#after = after;
    const { 'retry-after': _, ...headers } = fields;
    this.#headers = headers;
  }

  /** @returns what there is to say of it */
  answer(
    request: IncomingMessage,
    response: ServerResponse,
    retryAfterS: number,
    closing: boolean,
    addresses: ClientAddresses,
  ): RefusedRequest {
    const { headers } = request;
    const id = requestId(firstValue(headers['x-request-id']));
    const body = `${this.#before}${id}${this.#after}`;
    const fields: Record<string, string> = {
      ...this.#headers,
      'content-length': String(body.length),
      'retry-after': String(retryAfterS),
      'x-request-id': id,
    };
    if (closing || !endsPlainly(request)) fields.connection = 'close';
    response.writeHead(this.#status, fields);
    const last = new LastText(response, body);
    // Who closes a connection behind an answer goes by what has been written to it.
    if (fields.connection === 'close') last.sendLast();
    else sendSoon(last);
    return new RefusedRequest(request, addresses, this.#code, id);
  }
}

class LastText implements ReadyAnswer {
  readonly #response: ServerResponse;
  readonly #text: string;

  constructor(response: ServerResponse, text: string) {
    this.#response = response;
    this.#text = text;
  }

  sendLast(): void {
    // Ids are ASCII, and so is the table: Node joins such a text with the head, one write for both.
    this.#response.end(this.#text, 'latin1');
  }
}

/** What the log may ask of it: of most refusals in a flood, nothing. */
export class RefusedRequest implements UnroutedRequest {
  readonly requestId: string;
  readonly error: ErrorCode;
  readonly #request: IncomingMessage;
  readonly #addresses: ClientAddresses;

  constructor(
    request: IncomingMessage,
    addresses: ClientAddresses,
    code: ErrorCode,
    id = requestId(firstValue(request.headers['x-request-id'])),
  ) {
    this.#request = request;
    this.#addresses = addresses;
    this.requestId = id;
    this.error = code;
  }

  get status(): number {
    return errorRow(this.error).status;
  }

  get method(): string {
    return this.#request.method ?? '';
  }

  get path(): string {
    const { url = '' } = this.#request;
    const question = url.indexOf('?');
    return question < 0 ? url : url.slice(0, question);
  }

  get scheme(): 'http' | 'https' {
    return schemeOf(this.#request.socket);
  }

  get clientIp(): string {
    const { headers, socket } = this.#request;
    return this.#addresses.resolve(socket.remoteAddress ?? '', headers, '', '').clientIp;
  }
}

/**
 * It is clear where it ends and the next one begins. The guard, which looks closer, has not seen it; and of a client that waits
 * to be asked for its body (RFC 9110 §10.1.1) nobody knows whether it will send it now.
 */
function endsPlainly({ method, httpVersion, headers }: IncomingMessage): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding, expect } = headers;
  if (httpVersion !== '1.1' || coding !== undefined || expect !== undefined) return false;
  return length === '0' || (method !== 'GET' && method !== 'HEAD' && /^[1-9]\d*$/.test(length));
}

/** There is more to come of it than its head. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = headers;
  return coding !== undefined || (length !== undefined && length !== '0');
}
