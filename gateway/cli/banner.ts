import { urlOf, type Addresses, type Startable } from '#gateway/gateway.ts';

/** For a person at a terminal: what is running where. */
export function banner(gateway: Startable, { address, admin }: Addresses): string {
  const { config } = gateway.project.loaded;
  const url = urlOf(address, config.listen.tls !== undefined);
  const routes = gateway.assembly.routes.routes;
  const graphql = routes.some(({ door }) => door === 'graphql');
  const rest = routes.filter(({ door }) => door === 'rest');
  const upstreams = [...gateway.assembly.upstreams.values()].map(
    ({ name, endpoints, owner }) =>
      `    ${name.padEnd(12)} ${endpoints.map(({ origin }) => origin).join(', ')}${owner === undefined ? '' : `  (${owner})`}`,
  );
  const lines = [
    '',
    `  Weir is listening at ${url}`,
    '',
    ...(graphql
      ? [`    GraphQL      ${url}${config.graphql.path}${config.graphql.graphiql ? '  (GraphiQL in a browser)' : ''}`]
      : []),
    ...rest.map(({ path }, index) => `    ${index === 0 ? 'REST' : '    '}         ${url}${path}`),
    `    Admin        ${urlOf(admin)}/readyz  /metrics  /admin/upstreams`,
    '',
    '  Upstreams',
    ...upstreams,
    '',
  ];
  return `${lines.join('\n')}\n`;
}
