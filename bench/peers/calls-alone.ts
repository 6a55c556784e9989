// The upstream calls of an operation without GraphQL: in the same waves, each wave at once, answers read to the end and
// thrown away; then an answer as long as the operation's. The floor under anything that makes these calls on Node.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Pool, type Dispatcher } from 'undici';

const { PORT, UPSTREAM, PLAN } = process.env;
const { waves, answer } = JSON.parse(readFileSync(PLAN!, 'utf8')) as { waves: string[][]; answer: string };
const body = Buffer.from(answer);
const pool = new Pool(UPSTREAM!, { connections: 128, pipelining: 1 });
const headers = { accept: 'application/json' };

createServer((request, response) => {
  request.resume();
  request.on('end', () =>
    wave(0, (ok) => {
      response.writeHead(ok ? 200 : 502, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    }),
  );
}).listen(Number(PORT), '127.0.0.1');

function wave(level: number, done: (ok: boolean) => void): void {
  const paths = waves[level];
  if (paths === undefined) {
    done(true);
    return;
  }
  let left = paths.length;
  let whole = true;
  const settle = (ok: boolean): void => {
    whole &&= ok;
    if (--left > 0) return;
    if (whole) wave(level + 1, done);
    else done(false);
  };
  for (const path of paths) pool.dispatch({ method: 'GET', path, headers }, new Call(settle));
}

class Call implements Dispatcher.DispatchHandler {
  readonly #settle: (ok: boolean) => void;
  #ok = false;

  constructor(settle: (ok: boolean) => void) {
    this.#settle = settle;
  }
  onRequestStart(): void {}
  onResponseStart(_: Dispatcher.DispatchController, status: number): void {
    this.#ok = status === 200;
  }
  onResponseData(): void {}
  onResponseEnd(): void {
    this.#settle(this.#ok);
  }
  onResponseError(): void {
    this.#settle(false);
  }
}
