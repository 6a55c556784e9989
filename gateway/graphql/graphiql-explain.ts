/** It stands in the line of the consumers, or in one of its own; what is explained beside the answer, below at its side. */
const style = `
      #explain-line { position: absolute; top: 0; right: 0; z-index: 1; box-sizing: border-box; height: 2.5rem; padding: 0.5rem 1rem; font: 0.875rem sans-serif }
      #explained { position: fixed; right: 1rem; bottom: 1rem; z-index: 2; max-width: 60vw; max-height: 45vh; overflow: auto; padding: 0.5rem 1rem; border: 1px solid #999; background: #fff; color: #222; font: 0.75rem sans-serif }
      #explained th, #explained td { padding: 0.1rem 0.5rem; text-align: left; white-space: pre }
    `;

const alone = `
      #root { margin-top: 2.5rem }
      #root, #root .graphiql-container { height: calc(100vh - 2.5rem) }
    `;

/**
 * What the editor asks for by itself, to know the schema, is always answered. What an answer explains is drawn as a table, as
 * text alone: names in it are the document's.
 */
const script = `
      {
        const select = document.querySelector('#explain');
        const panel = document.querySelector('#explained');
        const { fetch } = globalThis;
        const element = (name, text) => Object.assign(document.createElement(name), { textContent: String(text ?? '') });
        const row = (name, cells) => {
          const line = element('tr');
          line.append(...cells.map((cell) => element(name, cell)));
          return line;
        };
        const show = ({ mode, maxCost, cost, budget = [], fields }) => {
          const price = mode + ': at most ' + cost.estimated + ' calls, of ' + maxCost + ' that an operation may cost';
          const came = mode === 'run' ? '; it came to ' + cost.actual : '; nothing was run';
          const left = budget.map(({ name, remaining, limit }) => '; left of ' + name + ': ' + remaining + ' of ' + limit);
          const run = mode === 'run' ? ['called', 'ms'] : [];
          const table = element('table');
          table.append(
            row('th', ['field', 'upstream', 'parents', 'batches', 'calls', 'cost', 'cached', 'breaker', ...run]),
            ...fields.map(({ path, upstream, parents, batches, calls, cost: own, cached, breaker, actual }) =>
              row('td', [
                '  '.repeat(path.split('.').length - 1) + path.split('.').at(-1),
                upstream, parents, batches, calls, own,
                typeof cached === 'number' ? Math.round(100 * cached) + ' %' : upstream && '?',
                breaker,
                ...(run.length > 0 ? [actual?.calls, actual?.ms] : []),
              ]),
            ),
          );
          panel.replaceChildren(element('p', price + came + left.join('')), table);
          panel.hidden = false;
        };
        panel.addEventListener('click', () => { panel.hidden = true; });
        globalThis.fetch = async (target, init = {}) => {
          const headers = new Headers(init.headers);
          if (select.value === '' || headers.has('x-weir-explain') || String(init.body).includes('__schema')) return fetch(target, init);
          headers.set('x-weir-explain', select.value);
          const response = await fetch(target, { ...init, headers });
          if (/json/.test(response.headers.get('content-type')))
            response.clone().json().then((answer) => answer.extensions?.explain && show(answer.extensions.explain), () => {});
          return response;
        };
      }
    `;

/** A choice of what an operation is to tell of its price, beside its answer and under its `extensions`. */
export function explainer(ownLine: boolean): string {
  return `<style>${style}${ownLine ? alone : ''}</style>
    <div id="explain-line">
      <label>Explain <select id="explain"><option value="">off</option><option value="plan">plan: the price, nothing is run</option><option value="run">run: the answer and what it cost</option></select></label>
    </div>
    <div id="explained" title="Click to hide" hidden></div>
    <script>${script}</script>`;
}
