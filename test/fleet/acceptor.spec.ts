import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Acceptor, type Taker } from '#gateway/fleet/acceptor.ts';
import { settle, until } from '../support/raw-client.ts';

/** docs/adr/0009, with workers that are functions of this process. */

let acceptor: Acceptor;
let port: number;
let refused: string[];

async function listen(): Promise<void> {
  refused = [];
  acceptor = new Acceptor({ refused: (clientIp) => refused.push(clientIp) });
  ({ port } = await acceptor.listen({ host: '127.0.0.1', port: 0 }));
}

afterEach(() => acceptor.abort());

/** What a client hears until its connection ends; a connection that breaks is '!'. */
function ask(): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk) => (heard += chunk.toString()));
    socket.on('error', () => (heard += '!'));
    socket.on('close', () => resolve(heard));
  });
}

/** Says its name to each connection that it takes. */
const worker = (name: string): Taker => ({
  handOver: (connection) => new Promise((resolve) => connection.end(name, () => resolve(true))),
});

/** Gets a connection and says nothing, until it is told what becomes of it. */
function silent(): Taker & { readonly got: Socket[]; answer(taken: boolean): void } {
  const got: Socket[] = [];
  const answers: ((taken: boolean) => void)[] = [];
  return {
    got,
    handOver(connection) {
      got.push(connection);
      return new Promise((resolve) => answers.push(resolve));
    },
    answer: (taken) => answers.shift()!(taken),
  };
}

describe('Connections that are accepted for several workers', () => {
  test('go to each of them in turn', async () => {
    await listen();
    for (const name of ['a', 'b', 'c']) acceptor.add(worker(name));
    const heard: string[] = [];
    for (let turn = 0; turn < 6; turn++) heard.push(await ask());
    expect(heard).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  test('go to another where the one that it was handed to never took it', async () => {
    await listen();
    const dying = silent();
    acceptor.add(dying);
    const heard = ask();
    await until(() => dying.got.length === 1);
    acceptor.remove(dying);
    acceptor.add(worker('next'));
    dying.answer(false);
    expect(await heard).toBe('next');
  });

  test('go past one that does not answer: it keeps the one that it was handed, and gets no other', async () => {
    await listen();
    const hung = silent();
    acceptor.add(hung);
    const first = ask();
    await until(() => hung.got.length === 1);
    acceptor.add(worker('other'));
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['other', 'other', 'other']);
    expect(hung.got.length).toBe(1);
    hung.answer(false);
    expect(await first).toBe('other');
  });

  test('wait where nobody is there to take them, in their order', async () => {
    await listen();
    const served: Socket[] = [];
    const heard = [ask(), ask()];
    await settle();
    acceptor.add({
      handOver: (connection) => {
        served.push(connection);
        return new Promise((resolve) => connection.end(String(served.length), () => resolve(true)));
      },
    });
    expect((await Promise.all(heard)).toSorted()).toEqual(['1', '2']);
    expect(refused).toEqual([]);
  });

  test('are in the hands of a worker before the port is given up', async () => {
    await listen();
    const slow = silent();
    acceptor.add(slow);
    const heard = ask();
    await until(() => slow.got.length === 1);
    let closed = false;
    const closing = acceptor.close().then(() => (closed = true));
    await settle();
    expect(closed).toBe(false);
    slow.got[0]!.end('served', () => slow.answer(true));
    await closing;
    expect(await heard).toBe('served');
    expect(await ask()).toBe('!');
  });

  test('that nobody takes are closed when the port is given up', async () => {
    await listen();
    const heard = ask();
    await settle();
    await acceptor.close();
    expect(await heard).toMatch(/^!?$/);
  });

  test('that come back from a worker after that are closed too, at once', async () => {
    await listen();
    const hung = silent();
    acceptor.add(hung);
    const heard = ask();
    await until(() => hung.got.length === 1);
    await acceptor.close();
    acceptor.remove(hung);
    hung.answer(false);
    expect(await heard).toMatch(/^!?$/);
    expect(refused).toEqual([]);
  });
});
