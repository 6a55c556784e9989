import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files of Swagger UI that the page needs, with their media types. */
const files: Readonly<Record<string, string>> = {
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui.css': 'text/css; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** What runs once the page is loaded. Nothing of the document leaves the browser: the validator is somebody else's. */
const start = `SwaggerUIBundle({
  url: document.documentElement.dataset.document,
  dom_id: '#viewer',
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  supportedSubmitMethods: ['get', 'head', 'post', 'put', 'patch', 'delete'],
});
`;

export interface ViewerFile {
  readonly body: Buffer;
  readonly type: string;
}

const kept = new Map<string, Promise<ViewerFile>>();

/** A file of the page, read once; undefined for any other name. */
export function viewerFile(name: string): Promise<ViewerFile> | undefined {
  if (name === 'start.js') return Promise.resolve({ body: Buffer.from(start), type: files['swagger-ui-bundle.js']! });
  const type = Object.hasOwn(files, name) ? files[name] : undefined;
  if (type === undefined) return undefined;
  let file = kept.get(name);
  if (!file) {
    file = readFile(join(folder(), name)).then((body) => ({ body, type }));
    kept.set(name, file);
  }
  return file;
}

/** In the package they lie beside this file, so that nobody who installs it installs the viewer with all it brings. */
function folder(): string {
  const shipped = fileURLToPath(new URL('./viewer', import.meta.url));
  return existsSync(shipped)
    ? shipped
    : dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
}
