import * as fc from 'fast-check';
import express from 'express';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { messagesOf } from '#gateway/http/express-messages.ts';

const own = messagesOf(express());

/** What either makes of the same fields: the lines of the head, and what follows from it for the content and the connection. */
function headBy(Response: typeof ServerResponse, status: number, headers: Record<string, string>, method = 'GET') {
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { method, httpVersionMajor: 1, httpVersionMinor: 1 });
  const response = new Response(request);
  Object.assign(response, { shouldKeepAlive: true, _keepAliveTimeout: 5_000 });
  try {
    response.writeHead(status, { ...headers });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  const { _header, _contentLength, _last, chunkedEncoding, shouldKeepAlive } = response as unknown as {
    readonly _header: string;
  } & Record<string, unknown>;
  const [statusLine, ...fields] = _header.split('\r\n');
  const lines = fields.map((line) => line.replace(/^Date: .*/, 'Date: now'));
  return { statusLine, lines: lines.sort(), _contentLength, _last, chunkedEncoding, shouldKeepAlive };
}

const values = fc.oneof(
  fc.string({ unit: 'binary-ascii' }),
  fc.constantFrom('a\r\nset-cookie: x', 'a\nb', 'a\rb', '\u0000', '\u00e9', '\u0100', 'close', 'chunked', ''),
  fc.string(),
);
const names = fc.oneof(
  fc.constantFrom('content-type', 'date', 'etag', 'via', 'connection', 'trailer', 'transfer-encoding', 'keep-alive'),
  fc.constantFrom('content-disposition', 'upgrade', 'expect', 'Content-Length', 'Date', 'bad name', 'x\r\ny', ''),
  fc.stringMatching(/^[a-z-]{1,12}$/),
);

describe('The head of an answer', () => {
  test('is what Node makes of the same fields, or the same refusal of them (RFC 9110 §5.5, §5.6.2)', () => {
    const fields = fc.array(fc.tuple(names, values)).map((entries) => Object.fromEntries(entries));
    const lengths = fc.option(fc.nat().map(String), { nil: undefined });
    const methods = fc.constantFrom('GET', 'HEAD');
    fc.assert(
      fc.property(
        fc.constantFrom(200, 204, 304, 404, 503),
        fields,
        lengths,
        methods,
        (status, some, length, method) => {
          const headers = { ...some, ...(length !== undefined && { 'content-length': length }) };
          expect(headBy(own.ServerResponse!, status, headers, method)).toEqual(
            headBy(ServerResponse, status, headers, method),
          );
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('has no line that a value brought', () => {
    for (const value of ['a\r\nset-cookie: x', 'a\nb', 'a\rb', '\u0000'])
      expect(headBy(own.ServerResponse!, 200, { 'content-length': '1', 'x-of-an-upstream': value })).toBe(
        'ERR_INVALID_CHAR',
      );
  });

  test('has the date of the moment where no other has given one (RFC 9110 §6.6.1)', () => {
    const request = new IncomingMessage(new Socket());
    const response = new own.ServerResponse!(request);
    Object.assign(response, { shouldKeepAlive: true, _keepAliveTimeout: 5_000 });
    response.writeHead(200, { 'content-length': '1' });
    const { _header: head } = response as unknown as { readonly _header: string };
    // As the gateway begins it itself.
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\nConnection: keep-alive\r\n/);
    const [, date] = /\r\nDate: (.*)\r\n/.exec(head)!;
    expect(new Date(date!).toUTCString()).toBe(date);
    expect(Math.abs(Date.parse(date!) - Date.now())).toBeLessThan(5_000);
  });
});
