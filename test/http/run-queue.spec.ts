import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Backlog } from '#policies/overload/backlog.ts';
import { RunQueue } from '#policies/overload/run-queue.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, RawClient, send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('The run queue', () => {
  const clock = { ms: 0 };
  const nowMs = () => clock.ms;
  /** A turn that takes so long. */
  const turnOf = (ms: number) => {
    clock.ms += ms;
    return turn();
  };

  test('begins in order, one a turn, and as many as may be under way', async () => {
    const state = { underWay: 2 };
    const queue = new RunQueue(() => state.underWay, setImmediate, nowMs);
    queue.most = 2;
    const begun: number[] = [];
    for (let index = 0; index < 8; index++) queue.wait(() => void begun.push(index));
    expect(begun).toEqual([]);
    await turnOf(10);
    expect(begun).toEqual([0]);
    await turnOf(10);
    expect(begun).toEqual([0, 1]);
    state.underWay = 0;
    await turnOf(10);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(queue.waiting).toBe(0);
  });

  test('begins twice as many in each turn as in the one before while turns are short, for nothing under way waits then', async () => {
    const queue = new RunQueue(() => 500, setImmediate, nowMs);
    queue.most = 64;
    let begun = 0;
    for (let index = 0; index < 1_000; index++) queue.wait(() => begun++);
    await turnOf(10);
    const counts: number[] = [];
    for (let turns = 0; turns < 8; turns++) {
      const before = begun;
      await turnOf(turns < 7 ? 0.5 : 10);
      counts.push(begun - before);
    }
    expect(counts).toEqual([2, 4, 8, 16, 32, 64, 64, 1]);
  });

  test('lets nobody pass those that wait, though there is room again', async () => {
    const queue = new RunQueue(() => 0);
    queue.wait(() => {});
    expect(queue.free(1)).toBe(false);
    await turn();
    expect(queue.free(1)).toBe(true);
  });

  test('takes those that come while others begin', async () => {
    const queue = new RunQueue(() => 9);
    queue.most = 1;
    const begun: string[] = [];
    queue.wait(() => {
      begun.push('first');
      queue.wait(() => begun.push('second'));
    });
    await turn();
    await turn();
    await turn();
    expect(begun).toEqual(['first', 'second']);
  });

  test('keeps none of those that have begun, however long it never runs empty', async () => {
    const queue = new RunQueue(() => 9, setImmediate, nowMs);
    queue.most = 1;
    let begun = 0;
    for (let index = 0; index < 3_000; index++) {
      queue.wait(() => begun++);
      queue.wait(() => begun++);
      await turnOf(10);
    }
    expect([begun, queue.waiting]).toEqual([3_000, 3_000]);
  });
});

describe('What a process takes on at once', () => {
  /** A second of an event loop that is so busy, in which so many requests begin and end. */
  function second(of: Backlog, requests: number, utilization: number): void {
    for (let look = 0; look < 20; look++) of.look(requests / 20, requests / 20, 50, utilization);
  }

  test('is what a saturated loop works off within 25 ms, then less and less down to 4 ms, and four at least', () => {
    const backlog = new Backlog();
    for (let seconds = 0; seconds < 5; seconds++) second(backlog, 10_000, 0.5);
    const each: number[] = [];
    for (let look = 0; look < 20; look++) {
      backlog.look(500, 500, 50, 1);
      each.push(backlog.atOnce);
    }
    // A request costs 0.1 ms in the end; one look is no sign yet.
    expect(each[0]).toBeGreaterThan(1_000);
    expect(each[1]).toBeLessThan(600);
    each.slice(2).forEach((now, at) => expect(now).toBeLessThanOrEqual(each[at + 1]!));
    expect(each.at(-1)).toBeGreaterThan(38);
    expect(each.at(-1)).toBeLessThan(70);
    for (let seconds = 0; seconds < 10; seconds++) second(backlog, 20, 1);
    expect(backlog.atOnce).toBe(4);
  });

  test('is twice as much with each look at a loop that had time to spare, so that waiting for slow services is no work', () => {
    const backlog = new Backlog();
    for (let seconds = 0; seconds < 5; seconds++) second(backlog, 10_000, 1);
    const before = backlog.atOnce;
    const each: number[] = [];
    for (let look = 0; look < 5; look++) {
      // Of a tenth of a millisecond each, as before.
      backlog.look(450, 450, 50, 0.9);
      each.push(backlog.atOnce);
    }
    expect(each[0]! / before).toBeGreaterThan(1.8);
    expect(each.at(-1)! / before).toBeGreaterThan(20);
  });

  test('is 100 ms of work, and 64 at least, while it has time to spare: what is in flight waits for others then', () => {
    const backlog = new Backlog();
    expect(backlog.atOnce).toBe(64);
    for (let seconds = 0; seconds < 10; seconds++) second(backlog, 20, 0.5);
    expect(backlog.atOnce).toBe(64);
    for (let seconds = 0; seconds < 10; seconds++) second(backlog, 2_000, 0.5);
    expect(backlog.atOnce).toBeGreaterThan(350);
  });
});

describe('A gateway whose event loop does nothing but work', () => {
  let service: TestUpstream;
  let gateway: TestGateway;
  const held: { readonly id: string; readonly answer: () => void }[] = [];
  const busy = { on: false };

  beforeAll(async () => {
    service = await startUpstream((request, response) => {
      if (!request.url!.startsWith('/hold')) response.end('ok');
      else held.push({ id: request.url!.slice('/hold/'.length), answer: () => response.end('held') });
    });
    gateway = await startGateway({
      upstreams: { service: { endpoints: [service.url] } },
      routes: [{ path: '/*rest', upstream: 'service' }],
    });
  });

  afterAll(async () => {
    busy.on = false;
    await gateway.stop();
    await service.close();
  });

  /** Turns of 40 ms, as long as it is on. The gateway shares the loop of its test. */
  function keepBusy(): void {
    if (!busy.on) return;
    const endMs = performance.now() + 40;
    while (performance.now() < endMs);
    setImmediate(keepBusy);
  }

  async function metric(labels: string): Promise<number> {
    const { text } = await send(`${gateway.adminUrl}/metrics`);
    const line = text
      .split('\n')
      .find((each) => each.startsWith('http_server_request_duration_seconds_count{') && each.includes(labels));
    return line ? Number(line.slice(line.lastIndexOf(' '))) : 0;
  }

  /** So many are under way as are without waiting, whatever the loop does. */
  async function fill(): Promise<void> {
    for (let index = 0; index < 64; index++) {
      begin(`${gateway.url}/hold/before`, { headers: { 'x-weir-deadline-ms': String(60_000 + index) } })
        .on('error', () => {})
        .end();
    }
    await until(() => held.length === 64);
    busy.on = true;
    keepBusy();
  }

  function answerAll(): void {
    busy.on = false;
    for (const { answer } of held.splice(0)) answer();
  }

  afterEach(answerAll);

  test('counts the time of requests that wait from when they came, and does not begin those that leave meanwhile', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(gateway.url)));
    await fill();
    for (const [index, client] of clients.entries()) {
      client.head(`GET /hold/${index} HTTP/1.1`, 'Host: x', `X-Request-Id: r${index}`);
    }
    // Of the twenty turns in which they begin: it has been read, and does not begin yet.
    for (let turns = 0; turns < 6; turns++) await turn();
    clients.at(-1)!.socket.resetAndDestroy();
    await until(() => held.length === 64 + 19);
    await until(async () => (await metric('http_response_status_code="499"')) === 1);
    // They go to the upstream over several connections, on which some may pass others.
    const ids = new Set(held.slice(64).map(({ id }) => id));
    expect(ids).toEqual(new Set(Array.from({ length: 19 }, (_, index) => String(index))));
    answerAll();
    for (const client of clients.slice(0, -1)) await client.until('held');
    const [first, last] = await Promise.all(['r0', 'r18'].map((id) => gateway.accessOf(id)));
    // It began more than half a second later.
    expect(last!.durationMs as number).toBeGreaterThan((first!.durationMs as number) / 2);
    for (const client of clients) client.socket.destroy();
    await untilIdle(gateway);
  });

  test('serves what one connection asks in a pipeline in order (RFC 9112 §9.3.2)', async () => {
    const client = await RawClient.connect(gateway.url);
    await fill();
    const head = (id: string) => `GET /ok HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n\r\n`;
    client.write(['a', 'b', 'c', 'd'].map(head).join(''));
    await until(() => [...client.received.matchAll(/\r\n\r\nok/g)].length === 4);
    expect([...client.received.matchAll(/x-request-id: (\w)/gi)].map(([, id]) => id)).toEqual(['a', 'b', 'c', 'd']);
    client.socket.destroy();
    answerAll();
    await untilIdle(gateway);
  });
});

describe('A connection whose client does not stay away', () => {
  let service: TestUpstream;
  const answers: (() => void)[] = [];

  beforeAll(async () => {
    service = await startUpstream((request, response) => {
      if (request.url === '/hold') answers.push(() => response.end('held'));
      else response.end('ok');
    });
  });
  afterAll(() => service.close());

  const mark = '"OVERLOADED"';

  /** A gateway that is full, and has refused some thousand requests just now. */
  async function flooded(listen: object = {}) {
    const gateway = await startGateway({
      listen: { maxInFlight: 1, ...listen },
      upstreams: { service: { endpoints: [service.url] } },
      routes: [{ path: '/*rest', upstream: 'service' }],
    });
    // However long a slow machine takes for the flood.
    const holding = send(`${gateway.url}/hold`, { headers: { 'x-weir-deadline-ms': '60000' } });
    await until(() => answers.length === 1);
    const client = await RawClient.connect(gateway.url);
    let asked = 0;
    const ask = () => {
      asked++;
      client.head('GET /ok HTTP/1.1', 'Host: x');
    };
    let refused = 0;
    let seen = 0;
    // What has come grows by thousands of answers, and is looked at once.
    const refusals = () => {
      const { received } = client;
      for (let at: number; (at = received.indexOf(mark, seen)) >= 0; refused++) seen = at + mark.length;
      return refused;
    };
    return {
      gateway,
      client,
      ask,
      refusals,
      release: async () => {
        answers.splice(0)[0]!();
        expect((await holding).status).toBe(200);
      },
      /** All at once, and once more as soon as they are answered. */
      flood: async (count: number) => {
        for (let index = 0; index < count; index++) ask();
        await until(() => refusals() === asked);
      },
    };
  }

  test('is heard again after a while, later than one that has just come, and is answered when the gateway stops before', async () => {
    const { gateway, client, ask, refusals, flood, release } = await flooded();
    // Until it is not answered any more before another is, which has just come.
    for (let heard = true; heard;) {
      await flood(40);
      // Of several in one packet the next is there when one is answered: after this there is none.
      await flood(1);
      const before = refusals();
      ask();
      expect((await send(`${gateway.url}/ok`)).status).toBe(503);
      heard = refusals() > before;
    }
    const before = refusals();
    await until(() => refusals() === before + 1);
    ask();
    await release();
    await gateway.stop();
    // What lay there unread.
    await until(() => client.received.endsWith('ok') || refusals() === before + 2);
    client.socket.destroy();
  });

  test('is heard at once where it is that of a proxy, which is many clients', async () => {
    const { gateway, client, flood, refusals, release } = await flooded({ trustedProxies: ['127.0.0.1'] });
    for (let round = 0; round < 60; round++) await flood(40);
    // Each of these would wait for up to a second.
    for (let round = 0; round < 100; round++) await flood(1);
    expect(refusals()).toBe(60 * 40 + 100);
    client.socket.destroy();
    await release();
    await gateway.stop();
  });
});
