/** What every service answers beside its own API: health, its document, an echo, and the control plane. */
import { readFile } from 'node:fs/promises';
import { digest, readJson } from './body.ts';
import type { Counters } from './counters.ts';
import type { FaultSwitch } from './faults.ts';
import { fleeting, json, noContent } from './respond.ts';
import type { Handler, Routes } from './router.ts';

/** Ordinary routes: counted, and faulted when the switch is on. */
export function everyServices(document: URL): Routes {
  let parsed: Promise<string> | undefined;
  return {
    'GET /health': () => fleeting({ status: 'ok' }),
    'GET /openapi.json': async (request) => json(request, await (parsed ??= parse(document)), 'public, max-age=60'),
    'ANY /_echo': echo,
    'ANY /_echo/*': echo,
  };
}

/** How tests and demos work a service from outside. Never counted and never faulted, or one could not turn it off. */
export function control(faults: FaultSwitch, counters: Counters): Routes {
  return {
    'GET /_fault': () => fleeting(faults.read()),
    'PUT /_fault': async ({ raw }) => fleeting(faults.set(await readJson(raw))),
    'DELETE /_fault': () => {
      faults.clear();
      return noContent();
    },
    'GET /_counters': () => fleeting(counters.read()),
    'DELETE /_counters': () => {
      counters.reset();
      return noContent();
    },
  };
}

/** What arrived, byte for byte: headers as pairs, with the case, the order and the repetitions they came with. */
const echo: Handler = async ({ method, raw }) => {
  const { bytes, sha256 } = await digest(raw);
  const headers: [string, string][] = [];
  for (let at = 0; at < raw.rawHeaders.length; at += 2) headers.push([raw.rawHeaders[at]!, raw.rawHeaders[at + 1]!]);
  return fleeting({ method, url: raw.url, headers, bodyBytes: bytes, bodySha256: sha256 });
};

/** The parser is loaded with the first request for the document: it is a quarter of a service's start otherwise. */
async function parse(document: URL): Promise<string> {
  const [yaml, source] = await Promise.all([import('yaml'), readFile(document, 'utf8')]);
  return JSON.stringify(yaml.parse(source));
}
