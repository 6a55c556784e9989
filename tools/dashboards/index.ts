import { render, type Dashboard } from './dashboard.ts';
import { graphql } from './graphql.ts';
import { overview } from './overview.ts';
import { runtime } from './runtime.ts';
import { upstreams } from './upstreams.ts';

const dashboards: readonly Dashboard[] = [overview, upstreams, graphql, runtime];

/** The files of deploy/grafana/dashboards, by path. */
export const dashboardFiles: Readonly<Record<string, () => string>> = Object.fromEntries(
  dashboards.map((dashboard) => [`deploy/grafana/dashboards/${dashboard.name}.json`, () => render(dashboard)]),
);
