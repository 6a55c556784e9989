import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containing, load, problemsOf } from './problems.ts';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-config-'));
  writeFileSync(join(folder, 'token'), 'from-a-file\n\n');
});

afterAll(() => rmSync(folder, { recursive: true }));

const name = (value: string) => `telemetry: { serviceName: '${value}' }`;

describe('an expression that cannot be filled in', () => {
  it('names the variable that is not set and how to give it a value', () => {
    expect(problemsOf('listen:\n  host: ${env.HOST_ADDRESS}')).toEqual([
      {
        path: 'listen.host',
        file: 'gateway.yaml',
        line: 2,
        column: 9,
        message: 'needs the environment variable HOST_ADDRESS, which is not set',
        fix: 'set HOST_ADDRESS, or give a default: ${env.HOST_ADDRESS:-…}',
      },
    ]);
  });

  it('reports every variable that is missing', () => {
    expect(problemsOf(`${name('${env.A}')}\nadmin: { token: "\${env.B}" }`).map(({ path }) => path)).toEqual([
      'telemetry.serviceName',
      'admin.token',
    ]);
  });

  it('takes nothing from the prototype of the environment', () => {
    expect(problemsOf(name('${env.constructor}'))).toMatchObject([
      { message: containing('constructor, which is not set') },
    ]);
  });

  it.each(['${HOME}', '${env.}', '${env.1A}', '${file:}', '${env.A-b}'])('%s is no expression', (text) => {
    expect(problemsOf(name(text))).toMatchObject([
      { message: 'has an expression of no known kind', fix: containing('$${') },
    ]);
  });

  it.each(['a ${env.A', '${env.A:-${env.B}}', '${env.A:-{}}'])('%s does not end where it seems to', (text) => {
    expect(problemsOf(name(text), { env: { A: '1', B: '2' } })).toMatchObject([
      { message: containing('does not end, or has another inside') },
    ]);
  });

  it('names the file that does not exist, or is a folder', () => {
    expect(problemsOf('admin: { token: "${file:/no/such}" }')).toMatchObject([
      { path: 'admin.token', message: 'needs the file /no/such, which does not exist' },
    ]);
    expect(problemsOf(`admin: { token: "\${file:${folder}}" }`)).toMatchObject([
      { message: containing('which is not a regular file') },
    ]);
  });

  it('brings text that is never read as YAML, as a list or as an expression again', () => {
    const env = { LIST: '[http://a]', AGAIN: '${env.LIST}' };
    expect(problemsOf('cors: { origins: "${env.LIST}" }', { env })).toMatchObject([
      { message: 'expects a list, not what ${env.LIST} holds' },
    ]);
    expect(load(name('${env.AGAIN}'), { env }).config.telemetry.serviceName).toBe('${env.LIST}');
  });

  it('is not looked for in keys', () => {
    expect(problemsOf('"${env.KEY}": 1', { env: { KEY: 'listen' } })).toMatchObject([
      { path: '${env.KEY}', message: 'is an unknown key' },
    ]);
  });
});

describe('an expression', () => {
  it.each([
    ['${env.NAME}', 'shop'],
    ['a-${env.NAME}-${env.NAME}', 'a-shop-shop'],
    ['${env.NAME:-other}', 'shop'],
    ['${env.GONE:-other}', 'other'],
    ['${env.GONE:-a:-b}', 'a:-b'],
    ['${env.EMPTY:-other}', 'other'],
    ['x${env.EMPTY}', 'x'],
    ['$${env.NAME}', '${env.NAME}'],
    ['$NAME $$', '$NAME $$'],
  ])('%s becomes %s', (text, value) => {
    expect(load(name(text), { env: { NAME: 'shop', EMPTY: '' } }).config.telemetry.serviceName).toBe(value);
  });

  it('is a number or a boolean where one is wanted, and text where text is', () => {
    const env = { PORT: '4010', ON: 'false', WORKERS: '1', RATIO: '0.5', WEIGHT: '3', NUMBER: '42' };
    const { config } = load(
      `listen: { port: "\${env.PORT}", workers: "\${env.WORKERS}" }
graphql: { graphiql: "\${env.ON}" }
telemetry: { sampleRatio: "\${env.RATIO}", serviceName: "\${env.NUMBER}" }
upstreams: { a: { endpoints: [{ url: http://a, weight: "\${env.WEIGHT}" }] } }`,
      { env },
    );
    expect(config.listen).toMatchObject({ port: 4010, workers: 1 });
    expect(config.graphql.graphiql).toBe(false);
    expect(config.telemetry).toMatchObject({ sampleRatio: 0.5, serviceName: '42' });
    expect(config.upstreams.a?.endpoints?.[0]?.weight).toBe(3);
  });

  it('is checked like what is written: a number beyond its bounds is refused without being shown', () => {
    expect(problemsOf('listen: { port: "${env.PORT}" }', { env: { PORT: '99999' } })).toMatchObject([
      { path: 'listen.port', line: 1, message: 'expects a whole number from 0 to 65535, not what ${env.PORT} holds' },
    ]);
  });

  it('reads a file without the newlines at its end, relative to the configuration', () => {
    const file = join(folder, 'gateway.yaml');
    expect(load('admin: { token: "${file:./token}" }', { file }).config.admin.token).toBe('from-a-file');
    expect(load(`admin: { token: "Bearer \${file:${join(folder, 'token')}}" }`).config.admin.token).toBe(
      'Bearer from-a-file',
    );
  });
});
