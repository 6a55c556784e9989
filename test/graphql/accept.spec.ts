import { describe, expect, test } from 'vitest';
import { readAccept } from '#gateway/graphql/accept.ts';

const json = 'application/json';
const response = 'application/graphql-response+json';

describe('Accept (RFC 9110 §12.5.1; GraphQL over HTTP §4.2)', () => {
  test.each([
    [undefined, json],
    ['', json],
    ['*/*', json],
    ['application/*', json],
    [json, json],
    [response, response],
    [`${response}, ${json}`, response],
    [`${json}, ${response}`, response],
    [`${json}, ${response};q=0.9`, json],
    [`${response};q=0.5, */*;q=0.1`, response],
    [`${response};q=0, */*`, json],
    [`${json};q=0, */*`, undefined],
    ['text/html, */*;q=0.8', json],
    ['text/html', undefined],
    ['Application/JSON; charset=UTF-8', json],
    ['application/json; charset=utf-16', undefined],
    ['application/json;q=2', undefined],
    ['application/json;q=x', undefined],
    [',,', undefined],
  ])('%s asks for %s', (header, expected) => {
    expect(readAccept(header).json).toBe(expected);
  });

  test.each([
    [undefined, true],
    ['text/event-stream', true],
    ['application/json, text/event-stream', true],
    ['text/*', true],
    ['application/json', false],
    ['text/event-stream;q=0', false],
  ])('%s takes an event stream: %s', (header, expected) => {
    expect(readAccept(header).events).toBe(expected);
  });

  test.each([
    ['multipart/mixed; deferSpec=20220824, application/json', { format: 'deferSpec=20220824', named: true }],
    ['multipart/mixed;incrementalSpec=v0.2,application/json', { format: 'incrementalSpec=v0.2', named: true }],
    ['multipart/mixed; boundary="-"; incrementalSpec="v0.2"', { format: 'incrementalSpec=v0.2', named: true }],
    ['application/json, multipart/mixed', { format: 'deferSpec=20220824', named: false }],
    ['multipart/mixed; deferSpec=20300101', { format: 'deferSpec=20220824', named: false }],
    ['multipart/mixed;q=0, application/json', undefined],
    ['multipart/*, */*', undefined],
    ['*/*', undefined],
  ])('%s takes parts as %j', (header, expected) => {
    expect(readAccept(header).incremental).toEqual(expected);
  });
});
