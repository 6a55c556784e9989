/** It stands in the line of the consumers, or in one of its own. */
const style = `
      #explain-line { position: absolute; top: 0; right: 0; z-index: 1; box-sizing: border-box; height: 2.5rem; padding: 0.5rem 1rem; font: 0.875rem sans-serif }
    `;

const alone = `
      #root { margin-top: 2.5rem }
      #root, #root .graphiql-container { height: calc(100vh - 2.5rem) }
    `;

/** What the editor asks for by itself, to know the schema, is always answered. */
const script = `
      {
        const select = document.querySelector('#explain');
        const { fetch } = globalThis;
        globalThis.fetch = (target, init = {}) => {
          const headers = new Headers(init.headers);
          if (select.value === '' || headers.has('x-weir-explain') || String(init.body).includes('__schema')) return fetch(target, init);
          headers.set('x-weir-explain', select.value);
          return fetch(target, { ...init, headers });
        };
      }
    `;

/** A choice of what an operation is to tell of its price, beside its answer under `extensions`. */
export function explainer(ownLine: boolean): string {
  return `<style>${style}${ownLine ? alone : ''}</style>
    <div id="explain-line">
      <label>Explain <select id="explain"><option value="">off</option><option value="plan">plan: the price, nothing is run</option><option value="run">run: the answer and what it cost</option></select></label>
    </div>
    <script>${script}</script>`;
}
