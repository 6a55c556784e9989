/** Exits 0 if the URL that is its argument answers 2xx: the images have no curl. */
const [url] = process.argv.slice(2);
if (url === undefined) throw new Error('usage: healthcheck.ts URL');
const ok = await fetch(url, { signal: AbortSignal.timeout(2_500) }).then(
  (response) => response.ok,
  () => false,
);
process.exit(ok ? 0 : 1);
