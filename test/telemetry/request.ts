import { Cancellation } from '#core/cancellation.ts';
import { RequestContext } from '#core/context.ts';
import type { Reply } from '#core/reply.ts';
import type { Span } from '#core/trace.ts';

interface Answer {
  readonly status?: number;
  readonly bytes?: number;
  readonly endless?: boolean;
}

/** A request as a host would make it, whose answer is over. */
export function endedRequest(
  span: Span,
  facts: { readonly method?: string; readonly target?: string; readonly id?: string } = {},
  { status = 200, bytes = 0, endless = false }: Answer = {},
): RequestContext {
  const reply: Reply = {
    headers: {},
    started: true,
    finished: true,
    status,
    bytes,
    endless,
    information() {},
    head() {},
    write: () => true,
    onDrain() {},
    end() {},
    destroy() {},
  };
  return new RequestContext({
    id: 'request-1',
    startedMs: 0,
    method: 'GET',
    target: '/v1/orders',
    scheme: 'http',
    host: 'api.example.com',
    headers: {},
    httpVersion: '1.1',
    peerIp: '127.0.0.1',
    clientIp: '192.0.2.7',
    forwarded: { for: '192.0.2.7', proto: 'http', host: 'api.example.com' },
    clientCertificate: undefined,
    span,
    incoming: { length: 0, read: () => Promise.resolve(Buffer.alloc(0)) },
    reply,
    cancellation: new Cancellation(),
    ...facts,
  });
}

/** Keeps log lines. */
export class Lines {
  readonly raw: string[] = [];

  write(line: string): void {
    this.raw.push(line);
  }

  get all(): Record<string, unknown>[] {
    return this.raw.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}
