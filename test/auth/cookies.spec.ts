import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('ok'));
  const endpoints = [upstream.url];
  gateway = await startGateway({
    upstreams: {
      none: { endpoints },
      some: { endpoints, cookies: ['session', 'theme'] },
      all: { endpoints, cookies: ['*'] },
    },
    routes: ['none', 'some', 'all'].map((name) => ({ path: `/${name}`, upstream: name })),
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

async function passed(path: string, cookie: string, method = 'GET', body = ''): Promise<string | undefined> {
  const sent = body === '' ? {} : { body };
  expect((await send(`${gateway.url}${path}`, { method, headers: { cookie }, ...sent })).status).toBe(200);
  return upstream.requests.at(-1)!.headers.cookie;
}

describe('Cookies of a client', () => {
  it('reach no upstream that does not list them', async () => {
    expect(await passed('/none', 'session=1; theme=dark')).toBeUndefined();
  });

  it('pass by name, and nothing beside them (RFC 6265 §5.4)', async () => {
    expect(await passed('/some', 'session=1; tracker=x; theme=a=b')).toBe('session=1; theme=a=b');
    expect(await passed('/some', 'xsession=1; sessions=2; Session=3')).toBeUndefined();
    expect(await passed('/some', 'theme=dark', 'POST')).toBe('theme=dark');
  });

  it('pass all where all are listed', async () => {
    expect(await passed('/all', 'a=1; b=2')).toBe('a=1; b=2');
  });
});
