/** A key that is no secret, of a consumer made for a demonstration. */
export interface DemoKey {
  readonly consumer: string;
  readonly tier: string;
  readonly key: string;
}

export interface DemoKeys {
  /** The header that carries a key. */
  readonly header: string;
  readonly keys: readonly DemoKey[];
}

/** Room for the line above the editor, which otherwise takes all of the window. */
const style = `
      #consumer-line { box-sizing: border-box; height: 2.5rem; padding: 0.5rem 1rem; font: 0.875rem sans-serif }
      #root, #root .graphiql-container { height: calc(100vh - 2.5rem) }
    `;

/**
 * GraphiQL asks by fetch for everything, subscriptions too. What its user writes under Headers goes before what is chosen.
 */
const script = `
      {
        const select = document.querySelector('#consumer');
        const { fetch } = globalThis;
        globalThis.fetch = (target, init = {}) => {
          if (select.value === '') return fetch(target, init);
          const headers = new Headers(init.headers);
          const { header } = select.dataset;
          if (!headers.has(header) && !headers.has('authorization')) headers.set(header, select.value);
          return fetch(target, { ...init, headers });
        };
      }
    `;

/** A choice of consumers, whose key then goes with each request of the page. */
export function chooser({ header, keys }: DemoKeys): string {
  const options = keys.map(
    ({ consumer, tier, key }) => `<option value="${escaped(key)}">${escaped(consumer)}, tier ${escaped(tier)}</option>`,
  );
  return `<style>${style}</style>
    <div id="consumer-line">
      <label>Consumer <select id="consumer" data-header="${escaped(header)}"><option value="">anonymous</option>${options.join('')}</select></label>
    </div>
    <script>${script}</script>`;
}

/** Puts it above GraphiQL, whose scripts then find a fetch that knows of it. */
export function withChooser(page: string, markup: string): string {
  const root = '<div id="root"></div>';
  const at = page.indexOf(root);
  if (at < 0) throw new Error('The GraphiQL page has no root element any more.');
  return page.slice(0, at) + markup + page.slice(at);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
