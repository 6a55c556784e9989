import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Model {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly annotations: {
    readonly list: readonly {
      readonly name: string;
      readonly expr: string;
      readonly titleFormat: string;
      readonly textFormat: string;
    }[];
  };
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

export interface DashboardQuery {
  readonly dashboard: string;
  readonly where: string;
  readonly expr: string;
  readonly legend: string;
}

export function dashboardsIn(folder: string): { readonly name: string; readonly model: Model }[] {
  return globSync(join(folder, '*.json'))
    .toSorted()
    .map((file) => ({ name: basename(file, '.json'), model: JSON.parse(readFileSync(file, 'utf8')) as Model }));
}

/** Everything that a dashboard asks Prometheus: for panels, for annotations, for the choices of its variables. */
export function dashboardQueries(dashboard: string, { panels, annotations, templating }: Model): DashboardQuery[] {
  return [
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr, legendFormat }) => ({ dashboard, where: title, expr, legend: legendFormat })),
    ),
    ...annotations.list.map(({ name, expr, titleFormat, textFormat }) => ({
      dashboard,
      where: name,
      expr,
      legend: titleFormat + textFormat,
    })),
    ...templating.list.flatMap(({ name, definition }) => {
      const [, series, label] = /^label_values\((.*), (\w+)\)$/.exec(definition ?? '') ?? [];
      return series === undefined
        ? []
        : [{ dashboard, where: `variable ${name}`, expr: `count by (${label}) (${series})`, legend: '' }];
    }),
  ];
}
