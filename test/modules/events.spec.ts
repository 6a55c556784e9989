import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WeirError } from '#core/errors.ts';
import { clientsOf, type UpstreamClient } from '#upstreams/client/client.ts';
import { EventStreamReader, type ServerSentEvent } from '#upstreams/client/event-stream.ts';
import type { UpstreamInput } from '#upstreams/settings.ts';
import { startUpstream, type Handler } from '../support/upstream.ts';
import { newRequest, upstreamAt } from './harness.ts';

/** The events of a stream that comes in these pieces. */
function read(...chunks: readonly (string | Uint8Array)[]): ServerSentEvent[] {
  const reader = new EventStreamReader();
  return chunks.flatMap((chunk) => reader.read(typeof chunk === 'string' ? Buffer.from(chunk) : chunk));
}

const event = (data: string, rest: Partial<ServerSentEvent> = {}): ServerSentEvent => ({
  event: 'message',
  id: '',
  ...rest,
  data,
});

describe('an event stream (WHATWG HTML §9.2.6)', () => {
  it('joins the lines of data with a line feed', () => {
    expect(read('data: YHOO\ndata: +2\ndata: 10\n\n')).toEqual([event('YHOO\n+2\n10')]);
  });

  it('drops comments, and one space after the colon', () => {
    expect(read(': test\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n')).toEqual([
      event('first event', { id: '1' }),
      event('second event'),
      event(' third event'),
    ]);
  });

  it('dispatches nothing for an event without data, and an empty text for an empty one', () => {
    expect(read('event: lonely\n\ndata\n\ndata\ndata\n\ndata:')).toEqual([event(''), event('\n')]);
  });

  it('keeps the last id, except one with NUL, and forgets the name of the event', () => {
    expect(read('event: order\nid: 7\ndata: a\n\nid: x\0y\ndata: b\n\nid\ndata: c\n\n')).toEqual([
      event('a', { event: 'order', id: '7' }),
      event('b', { id: '7' }),
      event('c'),
    ]);
  });

  it.each(['\n', '\r', '\r\n'])('ends lines at %j', (end) => {
    expect(read(['data: a', 'data: b', '', 'data: c', '', ''].join(end))).toEqual([event('a\nb'), event('c')]);
  });

  it('is the same in whatever pieces it comes, within a CRLF and a character too', () => {
    const whole = Buffer.from('\uFEFFid: 1\r\ndata: Zoë 🙂\r\n\r\ndata: b\r\n\r\n');
    const expected = [event('Zoë 🙂', { id: '1' }), event('b', { id: '1' })];
    expect(read(whole)).toEqual(expected);
    expect(read(...Array.from(whole, (byte) => Uint8Array.of(byte)))).toEqual(expected);
  });
});

async function serve(handler: Handler, settings: Partial<UpstreamInput> = {}) {
  const service = await startUpstream(handler);
  onTestFinished(() => service.close());
  const request = newRequest();
  const client = clientsOf([upstreamAt('orders', service.url, settings)], {})(request)['orders'] as UpstreamClient;
  return { service, request, events: client.events('/events') };
}

const stream = (response: ServerResponse, ...frames: readonly string[]): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const frame of frames) response.write(frame);
};

/** What reading on ends with. */
async function failure(reading: Promise<unknown>): Promise<unknown> {
  return reading.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('the feed of an upstream', () => {
  it('opens when it is first read, asks for an event stream, and ends with it', async () => {
    const { service, events } = await serve((_request, response) => {
      stream(response, 'data: 1\n\n', 'data: 2\n\n');
      response.end();
    });
    expect(service.requests).toEqual([]);
    const data: string[] = [];
    for await (const each of events) data.push(each.data);
    expect(data).toEqual(['1', '2']);
    expect(service.requests[0]?.headers.accept).toBe('text/event-stream');
  });

  it('closes the connection when its reader leaves', async () => {
    const left = Promise.withResolvers<void>();
    const { events } = await serve((_request, response) => {
      response.on('close', () => left.resolve());
      stream(response, 'data: 1\n\n');
    });
    for await (const each of events) {
      expect(each.data).toBe('1');
      break;
    }
    await left.promise;
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  it('ends with the request, also while it waits', async () => {
    const left = Promise.withResolvers<void>();
    const { events, request } = await serve((_request, response) => {
      response.on('close', () => left.resolve());
      stream(response, 'data: 1\n\n');
    });
    await events.next();
    const waiting = failure(events.next());
    const reason = new WeirError('CLIENT_CLOSED_REQUEST');
    request.cancellation.cancel(reason);
    expect(await waiting).toBe(reason);
    await left.promise;
  });

  it('holds the upstream back when nobody reads, and loses nothing', async () => {
    const frame = `data: ${'x'.repeat(64 * 1024)}\n\n`;
    const total = 400;
    let written = 0;
    const full = Promise.withResolvers<void>();
    const { events } = await serve((_request, response) => {
      stream(response);
      const more = (): void => {
        while (written < total) {
          written++;
          if (!response.write(frame)) {
            response.once('drain', more);
            // Nothing moves for a while: the reader's side is full.
            const before = written;
            setTimeout(() => written === before && full.resolve(), 100);
            return;
          }
        }
        response.end();
      };
      more();
    });
    await events.next();
    await full.promise;
    expect(written).toBeLessThan(total);
    let count = 1;
    for await (const _ of events) count++;
    expect(count).toBe(total);
  });

  it('is an error with the status when the upstream refuses', async () => {
    const { events } = await serve((_request, response) => void response.writeHead(403).end());
    expect(await failure(events.next())).toMatchObject({ code: 'UPSTREAM_ERROR', extensions: { upstreamStatus: 403 } });
  });

  it('is an error when the upstream sends something else (§9.2.3)', async () => {
    const { events } = await serve(
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
    );
    expect(await failure(events.next())).toMatchObject({ code: 'UPSTREAM_BAD_RESPONSE', upstream: 'orders' });
  });

  it('is over at once when the upstream says that there is nothing to hear (204, §9.2.3)', async () => {
    const { events } = await serve((_request, response) => void response.writeHead(204).end());
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  it('gives the events that came before it broke off, then the error', async () => {
    const { events } = await serve((_request, response) => {
      stream(response);
      response.write('data: 1\n\n', () => setImmediate(() => response.destroy()));
    });
    expect((await events.next()).value).toMatchObject({ data: '1' });
    expect(await failure(events.next())).toMatchObject({ code: 'UPSTREAM_BAD_RESPONSE', upstream: 'orders' });
  });

  it('takes no event larger than maxResponseBytes', async () => {
    const { events } = await serve(
      (_request, response) => stream(response, 'data: 1\n\n', `data: ${'x'.repeat(3000)}\n`),
      { maxResponseBytes: '2KiB' },
    );
    expect((await events.next()).value).toMatchObject({ data: '1' });
    expect(await failure(events.next())).toMatchObject({ code: 'UPSTREAM_RESPONSE_TOO_LARGE', upstream: 'orders' });
  });

  it('reads an event as JSON, and blames the upstream for what is none', async () => {
    const { events } = await serve((_request, response) => stream(response, 'data: {"a":1}\n\n', 'data: {"a":\n\n'));
    expect((await events.next()).value?.json()).toEqual({ a: 1 });
    const { value } = await events.next();
    expect(() => value?.json()).toThrow(
      expect.objectContaining({ code: 'UPSTREAM_BAD_RESPONSE', upstream: 'orders' }) as Error,
    );
  });
});
