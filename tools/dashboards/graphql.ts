import { of, quantiles, rate, type Dashboard } from './dashboard.ts';

const operations = 'weir_graphql_operation_duration_seconds';
/** Of a subscription the duration says how long its client stayed. */
const finite = 'graphql_operation_type!="subscription"';

/** How operations fare, over HTTP, in batches and on WebSockets alike. */
export const graphql: Dashboard = {
  name: 'graphql',
  title: 'Weir: GraphQL',
  rows: [
    {
      title: 'Operations',
      panels: [
        {
          title: 'By type',
          description: 'Operations a second; unknown ones were refused before their document was understood.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: `sum by (graphql_operation_type) (${rate(`${operations}_count`)})`,
              legend: '{{graphql_operation_type}}',
            },
          ],
        },
        {
          title: 'By outcome',
          description:
            'ok; partial: some fields are missing; failed: no data; refused: not executed, for what the client sent or for load.',
          unit: 'ops',
          stacked: true,
          queries: [{ expr: `sum by (weir_outcome) (${rate(`${operations}_count`)})`, legend: '{{weir_outcome}}' }],
        },
        {
          title: 'Share that is not whole',
          description: 'Operations whose answer lacks fields (partial) or all data (failed).',
          unit: 'percentunit',
          queries: [
            {
              expr: `sum by (weir_outcome) (${rate(`${operations}_count`, 'weir_outcome=~"partial|failed"')}) / ignoring (weir_outcome) group_left () sum(${rate(`${operations}_count`)})`,
              legend: '{{weir_outcome}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Time',
      panels: [
        {
          title: 'Duration',
          description: 'To the last part of the answer.',
          unit: 's',
          queries: quantiles(operations, ['graphql_operation_type'], finite),
        },
        {
          title: 'Distribution',
          description: 'How many operations took how long.',
          kind: 'heatmap',
          unit: 's',
          queries: [{ expr: `sum by (le) (${rate(`${operations}_bucket`, finite)})`, legend: '{{le}}' }],
        },
      ],
    },
    {
      title: 'Documents and their price',
      panels: [
        {
          title: 'Documents',
          description:
            'Asked for a second, by how they were found: trusted, automatic (registered by a client), text; refused where they were not run.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_document_source) (${rate('weir_graphql_documents_total')})`,
              legend: '{{weir_document_source}}',
            },
          ],
        },
        {
          title: 'Estimate less what was called',
          description:
            'In upstream calls, by type, and by name where the document is listed. Below 0 loaders were called more often than they need be: an await before load(). Far above, sizes are said too large.',
          unit: 'short',
          queries: quantiles('weir_cost_delta', ['graphql_operation_type', 'graphql_operation_name']),
        },
        {
          title: 'Whole answers',
          description:
            'Operations a second whose finished answers may be stored: hit, miss, or bypass by the wish of the client.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_cache_outcome) (${rate('weir_cache_answers_total')})`,
              legend: '{{weir_cache_outcome}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Streams and fallbacks',
      panels: [
        {
          title: 'Subscriptions',
          description: 'Open over SSE and WebSocket, by instance; graphql.subscriptions.maxOpen bounds them.',
          unit: 'short',
          stacked: true,
          queries: [{ expr: of('weir_graphql_subscriptions_open'), legend: '{{instance}}' }],
        },
        {
          title: 'Fields with a fallback',
          description: 'Static fallbacks a second, by field.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_field) (${rate('weir_fallbacks_total', 'weir_field!=""')})`,
              legend: '{{weir_field}}',
            },
          ],
        },
      ],
    },
  ],
};
