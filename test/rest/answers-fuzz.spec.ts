import * as fc from 'fast-check';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { answering, startScriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts';

let service: ScriptedUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  service = await startScriptedUpstream();
  gateway = await startGateway({
    upstreams: {
      service: {
        endpoints: [service.url],
        retry: { attempts: 0 },
        breaker: { failures: 10_000 },
        attemptTimeout: '2s',
        idleTimeout: '2s',
      },
    },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
});

afterAll(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

/** Answers that are in order, of every framing. */
const sound = [
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
  'HTTP/1.0 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n',
];

/** What an upstream, or something between it and the gateway, may do to one of them. */
const tokens = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\x00',
  ' ',
  ':',
  '\t',
  '\xff',
  '0',
  '9',
  ',',
  ';',
  'HTTP/1.1',
  'chunked',
  '-',
  '%',
];

const damage = fc.record({
  answer: fc.constantFrom(...sound),
  cuts: fc.array(
    fc.record({
      at: fc.nat(),
      remove: fc.nat(3),
      insert: fc.oneof(fc.constantFrom('', ...tokens), fc.string({ unit: 'binary-ascii', maxLength: 3 })),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  after: fc.constantFrom('end' as const, 'reset' as const),
});

function damaged({ answer, cuts }: { answer: string; cuts: { at: number; remove: number; insert: string }[] }): string {
  return cuts.reduce((bytes, { at, remove, insert }) => {
    const place = at % (bytes.length + 1);
    return bytes.slice(0, place) + insert + bytes.slice(place + remove);
  }, answer);
}

const forms = {
  held: () => ({}),
  streamed: () => ({ method: 'POST', body: Readable.from(['x']) }),
};

describe.each(['held', 'streamed'] as const)('Whatever bytes an upstream answers with, %s', (form) => {
  test('the client gets an answer that is whole by its own framing, an error of the gateway, or a broken one', async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(damage, async (given) => {
        const path = `/${form}/${++count}`;
        service.scripts.set(path, answering(damaged(given), given.after));
        const outcome = await send(gateway.url + path, forms[form]()).then(
          ({ status, headers, informed }) => {
            expect(status).toBeGreaterThanOrEqual(200);
            expect(informed.every((one) => one.status > 101 && one.status < 200)).toBe(true);
            // Nothing of it is told in the name of the gateway, and nothing that was for the hop alone.
            expect(headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
            expect(headers).not.toHaveProperty('keep-alive');
            return status;
          },
          (thrown: unknown) => {
            const error = thrown as Error & { readonly code?: string };
            expect(`${error.message} ${error.code}`).toMatch(/aborted|hang up|not complete|ECONNRESET/);
            return 'broken';
          },
        );
        service.scripts.delete(path);
        // Nothing of it is left for the next one, once the connection is gone that the upstream has done with.
        await until(() => service.connections.size === 0);
        const next = await send(`${gateway.url}/plain`, forms[form]());
        expect([next.status, next.text]).toEqual([200, 'plain']);
        return outcome !== 500;
      }),
      { numRuns: 200 },
    );
    expect(gateway.log.filter(({ level, error }) => level === 'error' || error === 'INTERNAL')).toEqual([]);
  });
});
