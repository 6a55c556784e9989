import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorCodes } from '#core/errors.ts';
import { run } from '#gateway/cli/run.ts';
import { schemaAt } from '#gateway/config/contract.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { fencedBlocks, linksOf } from '../support/markdown.ts';
import { deadUrl } from '../support/upstream.ts';
import { alertsIn } from './rule-files.ts';

const page = readFileSync('docs/runbook.md', 'utf8');
const alerts = [
  ...new Set(alertsIn(readFileSync('deploy/prometheus/weir.rules.yml', 'utf8')).map(({ alert }) => alert)),
];

/** The sections by their headings, and what stands in them. */
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const end = section.indexOf('\n');
      return [section.slice(0, end), section.slice(end + 1).split(/^# /m)[0]!] as const;
    }),
);

/** Every `weir …` on the page, in a block or in a sentence, as a shell would split it. */
function weirCommands(): string[][] {
  const blocks = fencedBlocks(page).flatMap(({ text }) => text.split('\n'));
  const prose = page.replaceAll(/^```[\s\S]*?^```$/gm, '');
  const inline = [...prose.matchAll(/`(weir [^`]+)`/g)].map(([, command]) => command!);
  return [...blocks, ...inline]
    .filter((line) => line.startsWith('weir '))
    .map((line) =>
      [...line.replace(/ [>|].*$/, '').matchAll(/'([^']*)'|(\S+)/g)]
        .map(([, quoted, word]) => quoted ?? word!)
        .slice(1),
    );
}

describe('docs/runbook.md', () => {
  test('has a section for each alert and each error code, and no other', () => {
    expect([...sections.keys()].toSorted()).toEqual([...alerts, ...errorCodes].toSorted());
  });

  test.each([...alerts, ...errorCodes])(
    '%s: symptom, cause, command, in this order, each with something in it',
    (name) => {
      const text = sections.get(name) ?? '';
      const parts = text.split(/^\*\*(Symptom|Cause|Command):\*\*/m).slice(1);
      expect(parts.filter((_, index) => index % 2 === 0)).toEqual(['Symptom', 'Cause', 'Command']);
      for (const part of parts.filter((_, index) => index % 2 === 1)) expect(part.trim().length).toBeGreaterThan(20);
      // A command to copy, not only words about one.
      expect(fencedBlocks(parts[5] ?? '').length).toBeGreaterThan(0);
    },
  );

  test('says of each alert how urgent it is, as the rule does', () => {
    for (const { alert, labels } of alertsIn(readFileSync('deploy/prometheus/weir.rules.yml', 'utf8'))) {
      const symptom = sections.get(alert)?.split('**Cause:**')[0] ?? '';
      expect(/\b(Page|Ticket)\b(?!.*\b(Page|Ticket)\b)/s.exec(symptom)?.[1]?.toLowerCase(), alert).toBe(
        labels.severity,
      );
    }
  });

  test('links to sections and pages that are there', () => {
    const anchors = new Set([...sections.keys()].map((name) => `#${name.toLowerCase()}`));
    for (const link of linksOf(page)) {
      if (link.startsWith('#')) expect([...anchors]).toContain(link);
      else expect(() => readFileSync(join('docs', link.split('#')[0]!))).not.toThrow();
    }
  });

  test('names keys of the configuration that there are', () => {
    const named = [
      ...page.matchAll(/`((?:listen|admin|graphql|auth|telemetry|health|retry|breaker)\.[A-Za-z.[\]]+[A-Za-z])`/g),
    ].map(([, key]) => key!);
    expect(named.length).toBeGreaterThan(20);
    const unknown = named.filter((key) => {
      const path = key.split('.').flatMap((part) => (part.endsWith('[]') ? [part.slice(0, -2), 0] : [part]));
      // Some are keys of an upstream or a route, which the sentence is about.
      return [[], ['upstreams', 'x'], ['routes', 0]].every((base) => schemaAt([...base, ...path]) === undefined);
    });
    expect(unknown).toEqual([]);
  });
});

describe('The commands of docs/runbook.md', () => {
  let gateway: TestGateway;
  const folder = mkdtempSync(join(tmpdir(), 'weir-runbook-'));

  beforeAll(async () => {
    gateway = await startGateway({ upstreams: { orders: { endpoints: [await deadUrl()] } } });
  });

  afterAll(async () => {
    await gateway.stop();
    rmSync(folder, { recursive: true });
  });

  /** @returns its exit status, and what it said */
  async function called(words: readonly string[]): Promise<{ readonly status: number; readonly said: string }> {
    // Nobody listens there: a call that is right fails for that.
    const file = join(folder, 'gateway.yaml');
    writeFileSync(file, 'admin: { port: 1 }\nupstreams: { a: { endpoints: ["http://127.0.0.1:9"] } }\n');
    let said = '';
    const status = await run([...words, '--config', file], { out() {}, err: (text) => void (said += text) });
    return { status, said };
  }

  const commands = new Map(weirCommands().map((words) => [words.join(' '), words]));

  test.each([...commands].map(([command, words]) => ({ command, words })))(
    'weir $command: is called as it wants to be',
    async ({ words }) => {
      const { status, said } = await called(words);
      expect(status, said).not.toBe(2);
    },
  );

  test('would be found out if they were not', async () => {
    expect(commands.size).toBeGreaterThan(15);
    for (const wrong of [
      'upstreams orders',
      'upstream orders opne',
      'endpoint drain',
      'debug rout orders',
      'status --now',
    ])
      expect((await called(wrong.split(' '))).status, wrong).toBe(2);
  });

  test('ask for admin paths that there are', async () => {
    const paths = [...new Set([...page.matchAll(/127\.0\.0\.1:4001(\/[a-z/]*)/g)].map(([, path]) => path!))];
    expect(paths.length).toBeGreaterThan(2);
    for (const path of paths) expect((await fetch(gateway.adminUrl + path)).status, path).toBe(200);
  });
});
