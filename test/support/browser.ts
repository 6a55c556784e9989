import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import packaged, { inflate } from '@sparticuz/chromium';
import { chromium, type Browser } from 'playwright-core';

/** Names that Chromium is installed under. */
const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

interface Candidate {
  readonly from: string;
  readonly path: () => string | Promise<string>;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * The Chromium that `CHROMIUM` names; else one on the `PATH`, else the one that comes with the development dependencies (Linux,
 * x64). Nothing is fetched.
 * @throws {Error} with what was tried, where none starts
 */
export async function launchBrowser(): Promise<Browser> {
  const tried: string[] = [];
  for (const { from, path, env } of candidates()) {
    try {
      return await chromium.launch({
        executablePath: await path(),
        args: ['--disable-dev-shm-usage', '--disable-gpu'],
        // It opens pages of the gateway alone, often as root, whom the sandbox refuses.
        chromiumSandbox: false,
        timeout: 60_000,
        ...(env && { env: { ...process.env, ...env } }),
      });
    } catch (error) {
      tried.push(`- ${from}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  throw new Error(
    'These specifications need Chromium, and none could be started:\n' +
      `${tried.join('\n')}\n` +
      'Fix: install it (Debian: apt-get install chromium), or name one in the environment: CHROMIUM=/path/to/chromium',
  );
}

function candidates(): readonly Candidate[] {
  const { CHROMIUM: named, PATH = '' } = process.env;
  if (named !== undefined && named !== '') return [{ from: `CHROMIUM=${named}`, path: () => named }];
  const installed = PATH.split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)));
  const found = installed.find((file) => existsSync(file));
  return [
    ...(found === undefined ? [] : [{ from: found, path: () => found }]),
    // Libraries that a machine without a desktop need not have come with it.
    { from: '@sparticuz/chromium', path: unpack, env: { LD_LIBRARY_PATH: join(tmpdir(), 'al2023', 'lib') } },
  ];
}

async function unpack(): Promise<string> {
  const folder = join(dirname(fileURLToPath(import.meta.resolve('@sparticuz/chromium'))), '..', 'bin');
  await inflate(join(folder, 'al2023.tar.br'));
  return packaged.executablePath();
}
