// node:http in front, undici `dispatch` behind, and no feature between them: the floor under anything written for Node.
import { createServer, type ServerResponse } from 'node:http';
import { Pool, type Dispatcher } from 'undici';

const { PORT, UPSTREAM } = process.env;
const pool = new Pool(UPSTREAM!, { connections: 128, pipelining: 1 });

createServer((request, response) => {
  const { method, url, headers } = request;
  const { connection: _hop, ...forwarded } = headers;
  const body = method === 'GET' ? null : request;
  pool.dispatch({ method: method as 'GET' | 'POST', path: url!, headers: forwarded, body }, new Answer(response));
}).listen(Number(PORT), '127.0.0.1');

class Answer implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }
  onRequestStart(): void {}
  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, string>): void {
    const { connection: _hop, 'keep-alive': _hint, ...answered } = headers;
    this.#response.writeHead(status, answered);
  }
  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#response.write(chunk);
  }
  onResponseEnd(): void {
    this.#response.end();
  }
  onResponseError(): void {
    this.#response.destroy();
  }
}
