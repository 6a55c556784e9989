import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UpstreamStatus } from '#gateway/control/upstream-status.ts';
import { weirAt } from '../cli/running.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let service: TestUpstream;
let introspection: TestUpstream;
let issuer: TestIssuer;
let gateway: TestGateway;
const nameOf = (url: string) => `auth:${new URL(url).host}`;

beforeAll(async () => {
  service = await startUpstream((_request, response) => void response.end('ok'));
  introspection = await startUpstream((_request, response) => void response.writeHead(500).end());
  issuer = await startIssuer();
  gateway = await startGateway({
    upstreams: { service: { endpoints: [service.url] } },
    routes: [{ path: '/private', upstream: 'service', auth: 'required' }],
    auth: {
      jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }],
      introspection: { url: `${introspection.url}/introspect`, clientId: 'weir', clientSecret: 'secret' },
    },
  });
  const answers = [];
  for (const token of [await issuer.token(), 'opaque'])
    answers.push(await send(`${gateway.url}/private`, { headers: { authorization: `Bearer ${token}` } }));
  expect(answers.map(({ status }) => status)).toEqual([200, 503]);
});

afterAll(async () => {
  await gateway.stop();
  await issuer.close();
  await introspection.close();
  await service.close();
});

/** DESIGN.md, "One upstream stack": a JWKS or introspection look-up goes through the same layers, and is seen as such. */
describe('Identity providers', () => {
  test('are among the upstreams that operators see, key sets and introspection alike', async () => {
    const answer = await send(`${gateway.adminUrl}/admin/upstreams`);
    const seen = new Map((JSON.parse(answer.text) as UpstreamStatus[]).map((upstream) => [upstream.name, upstream]));
    expect([...seen.keys()].toSorted()).toEqual([nameOf(issuer.url), nameOf(introspection.url), 'service'].toSorted());
    expect(seen.get(nameOf(issuer.url))).toMatchObject({
      breaker: { state: 'closed' },
      endpoints: [{ url: issuer.url }],
    });
    expect(seen.get(nameOf(introspection.url))!.lastError).toMatchObject({ status: 500 });
    const one = await send(`${gateway.adminUrl}/admin/upstreams/${nameOf(issuer.url)}`);
    expect(one.json()).toMatchObject({ name: nameOf(issuer.url) });
  });

  test('are in `weir status`, with what went wrong there', async () => {
    const { stdout } = await weirAt(gateway.adminUrl)('status');
    expect(stdout).toMatch(new RegExp(`^[ !] ${nameOf(issuer.url)} +closed `, 'm'));
    expect(stdout).toMatch(new RegExp(`^[ !] ${nameOf(introspection.url)} +closed +\\d+ s +[\\d.]+/s +100 %`, 'm'));
  });

  test('have a breaker of their own each: one that fails is left alone, and the door stays shut; others are asked', async () => {
    const ask = async (token: string) =>
      (await send(`${gateway.url}/private`, { headers: { authorization: `Bearer ${token}` } })).status;
    for (let turn = 0; turn < 10; turn++) expect(await ask(`opaque-${turn}`)).toBe(503);
    // Five failures in a row open it, the one before among them.
    expect(introspection.requests.length).toBe(5);
    const { breaker } = (
      await send(`${gateway.adminUrl}/admin/upstreams/${nameOf(introspection.url)}`)
    ).json() as unknown as UpstreamStatus;
    expect(breaker.state).toBe('open');
    expect(await ask(await issuer.token())).toBe(200);
  });

  test('are in the metrics of upstreams', async () => {
    const { text } = await send(`${gateway.adminUrl}/metrics`);
    for (const url of [issuer.url, introspection.url]) {
      const labels = `weir_upstream="${nameOf(url)}"`;
      for (const name of ['weir_upstream_breaker_state', 'weir_upstream_connections', 'weir_upstream_endpoints'])
        expect(text).toMatch(new RegExp(`^${name}\\{[^}]*${labels}[^}]*\\} \\d`, 'm'));
      expect(text).toMatch(
        new RegExp(`^weir_upstream_call_duration_seconds_count\\{[^}]*${labels}[^}]*\\} [1-9]`, 'm'),
      );
    }
  });
});
