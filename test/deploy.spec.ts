import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '#gateway/config/load.ts';
import { lineage, parseCopy, parseDockerfile, parseExec } from './support/dockerfile.ts';
import { runProgram, startProgram, type RunningProgram } from './support/program.ts';
import { deadUrl } from './support/upstream.ts';

const root = resolve(import.meta.dirname, '..');

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

interface Manifest {
  readonly bin: { readonly weir: string };
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface Service {
  readonly image?: string;
  readonly profiles?: readonly string[];
  readonly secrets?: readonly string[];
  readonly build?: { readonly context: string; readonly target: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period?: string;
}

interface GatewayFile {
  readonly modules: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly admin: { readonly host: string; readonly port: number; readonly token?: string };
  readonly upstreams: Readonly<Record<string, { readonly endpoints: readonly string[] }>>;
  readonly telemetry: { readonly serviceName: string };
}

const manifest = JSON.parse(read('package.json')) as Manifest;
const stages = parseDockerfile(read('Dockerfile'));
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, { readonly environment: string }>>;
};
const gatewayText = read('deploy/compose/gateway.yaml');
const gatewayFile = parse(gatewayText) as GatewayFile;

const services = Object.entries(compose.services).filter(([, { profiles }]) => profiles === undefined);
const gateways = services.filter(([name]) => name.startsWith('gateway'));
const shop = ['users', 'orders', 'catalog', 'reviews'] as const;

/** A path in an image that was copied there from the project, as the project's path. */
function fromImage(path: string): string {
  return path.replace(/^\/app\//, '');
}

/** The health check of a service with the address that it has here. */
async function healthy(check: readonly string[], url: string): Promise<boolean> {
  const [, program, script, target] = check[0] === 'CMD' ? check : ['CMD', ...check];
  expect(program).toBe('node');
  const { status, stderr } = await runProgram([join('deploy', script!), new URL(new URL(target!).pathname, url).href], {
    cwd: root,
  });
  expect(stderr).toBe('');
  return status === 0;
}

describe('The Dockerfile', () => {
  const copies = stages.flatMap(({ name, instructions }) =>
    instructions
      .filter((instruction) => instruction.name === 'COPY')
      .map(({ text }) => ({ stage: name, ...parseCopy(text) })),
  );
  const ignore = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  test('stands on the slim image of the Node that the project is tested with', () => {
    const images = stages.map(({ from }) => from).filter((from) => !stages.some(({ name }) => name === from));
    const major = /\d+/.exec(manifest.devDependencies.node ?? '')?.[0];
    expect(images).toEqual([`node:${major}-slim`]);
  });

  test('takes each stage from one that stands before it', () => {
    stages.forEach(({ from, name }, index) => {
      const earlier = stages.slice(0, index).map((stage) => stage.name);
      if (!from.startsWith('node:')) expect(earlier, name).toContain(from);
      for (const copy of copies.filter(({ stage }) => stage === name)) {
        if (copy.from !== undefined) expect(earlier, name).toContain(copy.from);
      }
    });
    expect(stages.at(-1)?.name).toBe('gateway');
  });

  test.each(copies.filter(({ from }) => from === undefined).flatMap(({ sources }) => sources))(
    'copies %s, which exists and which .dockerignore lets in',
    (source) => {
      expect(existsSync(join(root, source))).toBe(true);
      if (source !== '.') expect(ignore).toContain(`!${source.split('/', 1)[0]}`);
    },
  );

  test('copies folders to folders of their own name, files into the working directory', () => {
    for (const { sources, target, from } of copies.filter(({ sources: [source] }) => source !== '.')) {
      if (from === undefined && sources.length === 1 && statSync(join(root, sources[0]!)).isDirectory()) {
        expect(target).toBe(`${sources[0]!}/`);
      } else {
        expect(target.endsWith('/')).toBe(true);
      }
    }
  });

  test('ignores everything that it does not name, and never lets dependencies in from outside', () => {
    expect(ignore[0]).toBe('*');
    expect(ignore.at(-1)).toBe('**/node_modules');
    for (const pattern of ignore.slice(1, -1))
      expect(existsSync(join(root, pattern.replace(/^!/, ''))), pattern).toBe(true);
  });

  test('runs only npm commands and programs that the project has', () => {
    const runs = stages
      .flatMap(({ instructions }) => instructions.filter(({ name }) => name === 'RUN'))
      .map(({ text }) => text);
    expect(runs.length).toBeGreaterThan(2);
    for (const command of runs.flatMap((text) => text.split('&&')).map((text) => text.trim())) {
      const [program, ...args] = command.split(' ');
      if (program === 'npm' && args[0] === 'run') expect(Object.keys(manifest.scripts)).toContain(args[1]);
      else if (program === 'npm') expect(args).toEqual(expect.arrayContaining(['ci', '--ignore-scripts']));
      else if (program === 'node')
        expect(
          existsSync(
            join(
              root,
              args.find((arg) => !arg.startsWith('-'))!,
            ),
          ),
          command,
        ).toBe(true);
      else expect(['mkdir', 'ln']).toContain(program);
    }
  });

  test.each(['gateway', 'shop'])('has no development dependency in the image %s', (image) => {
    const modules = lineage(stages, image)
      .filter(({ name }) => name === 'COPY')
      .map(({ text }) => parseCopy(text))
      .filter(({ sources }) => sources.some((source) => source.includes('node_modules')));
    expect(modules).toEqual([{ from: 'dependencies', sources: ['/app/node_modules'], target: 'node_modules/' }]);
    const installs = lineage(stages, 'dependencies').filter(({ name }) => name === 'RUN');
    expect(installs).toHaveLength(1);
    expect(installs[0]?.text).toMatch(/^npm ci --omit=dev --workspaces=false /);
    expect(lineage(stages, image).filter(({ name, text }) => name === 'RUN' && text.includes('npm'))).toEqual([]);
  });

  test.each(['gateway', 'shop'])('runs %s as a user without rights', (image) => {
    expect(lineage(stages, image).filter(({ name }) => name === 'USER')).toEqual([{ name: 'USER', text: 'node' }]);
  });

  test.each([
    ['gateway', manifest.bin.weir.replace('./', '')],
    ['shop', manifest.bin.weir.replace('./dist/', '').replace(/\.js$/, '.ts')],
  ])('starts %s by %s, with the flag of npm start', (image, main) => {
    const command = parseExec(lineage(stages, image).findLast(({ name }) => name === 'CMD')?.text ?? '');
    const [program, flag] = manifest.scripts.start!.replace(/^exec /, '').split(' ');
    expect(command.slice(0, 4)).toEqual([program, flag, main, 'start']);
    expect(existsSync(join(root, main.replace(/^dist\/(.*)\.js$/, '$1.ts')))).toBe(true);
    // A folder of the program that is not in the image would only be missed at run time.
    const folders = lineage(stages, image)
      .filter(({ name }) => name === 'COPY')
      .flatMap(({ text }) => parseCopy(text).target);
    expect(folders).toContain(`${main.split('/', 1)[0]}/`);
  });

  test('carries every folder that package imports name into the image of the sources', () => {
    const { imports } = JSON.parse(read('package.json')) as { readonly imports: Readonly<Record<string, string>> };
    const folders = Object.values(imports).map((target) => target.replace('./', '').replace('/*', ''));
    const copied = lineage(stages, 'shop')
      .filter(({ name }) => name === 'COPY')
      .flatMap(({ text }) => parseCopy(text).sources);
    expect(copied).toEqual(expect.arrayContaining(folders));
  });

  test('exposes the ports of the gateway file, and asks its admin port for readiness', () => {
    const runtime = lineage(stages, 'gateway');
    const { listen, admin } = gatewayFile;
    expect(runtime.find(({ name }) => name === 'EXPOSE')?.text).toBe(`${listen.port} ${admin.port}`);
    const [program, script, url] = parseExec(runtime.find(({ name }) => name === 'HEALTHCHECK')?.text ?? '');
    expect([program, url]).toEqual(['node', `http://127.0.0.1:${admin.port}/readyz`]);
    expect(runtime.filter(({ name }) => name === 'COPY').flatMap(({ text }) => parseCopy(text).sources)).toContain(
      `deploy/${script}`,
    );
  });

  test('sets only variables that something in the image reads', () => {
    const variables = stages
      .flatMap(({ instructions }) => instructions.filter(({ name }) => name === 'ENV'))
      .map(({ text }) => text);
    expect(variables).toEqual(['NODE_ENV=production']);
    const express = createRequire(import.meta.url).resolve('express/lib/application.js');
    expect(readFileSync(express, 'utf8')).toContain('process.env.NODE_ENV');
  });
});

describe('docker-compose.yml', () => {
  test('has two gateways, Redis, and the four services of the shop', () => {
    expect(services.map(([name]) => name).toSorted()).toEqual(['gateway-1', 'gateway-2', 'redis', ...shop].toSorted());
  });

  test.each(services.filter(([name]) => name !== 'redis'))(
    'builds %s from a stage of the Dockerfile',
    (_name, { build }) => {
      expect(build?.context).toBe('.');
      expect(stages.map(({ name }) => name)).toContain(build?.target);
    },
  );

  test('waits only for services that say whether they are healthy', () => {
    for (const [, { depends_on: waits = {} }] of services) {
      for (const [name, { condition }] of Object.entries(waits)) {
        expect(condition).toBe('service_healthy');
        expect(compose.services[name]?.healthcheck, name).toBeDefined();
      }
    }
    for (const [, gateway] of gateways)
      expect(Object.keys(gateway.depends_on ?? {}).toSorted()).toEqual(['redis', ...shop].toSorted());
  });

  test('publishes each gateway on a loopback port of its own, from the port of the gateway file', () => {
    const published = gateways.flatMap(([, { ports = [] }]) => ports.map((port) => port.split(':')));
    expect(published).toHaveLength(2);
    for (const [address, , container] of published)
      expect([address, container]).toEqual(['127.0.0.1', String(gatewayFile.listen.port)]);
    expect(new Set(published.map(([, host]) => host)).size).toBe(2);
    expect(services.filter(([, { ports }]) => ports !== undefined)).toHaveLength(2);
  });

  test('mounts the gateway file where the image looks for it', () => {
    const command = parseExec(lineage(stages, 'shop').findLast(({ name }) => name === 'CMD')?.text ?? '');
    const config = command[command.indexOf('--config') + 1];
    for (const [, { volumes = [] }] of gateways) {
      const mounts = volumes.map((volume) => volume.split(':'));
      expect(mounts).toEqual([['./deploy/compose/gateway.yaml', config, 'ro']]);
      expect(existsSync(join(root, mounts[0]![0]!))).toBe(true);
    }
  });

  test('gives the gateways exactly the variables that their file reads', () => {
    const used = [...gatewayText.matchAll(/\$\{env\.(\w+)/g)].map((match) => match[1]!);
    for (const [, { environment = {} }] of gateways)
      expect(Object.keys(environment).toSorted()).toEqual(used.toSorted((a, b) => a.localeCompare(b)));
  });

  test('lets a gateway finish what is in flight before it is killed', () => {
    // The default timeout of a call is 30 s, and draining begins with 5 s of accepting.
    for (const [, gateway] of gateways)
      expect(Number.parseInt(gateway.stop_grace_period ?? '0', 10)).toBeGreaterThan(35);
  });

  test('keeps the admin port inside of the container, unless the environment opens it, which takes a token', () => {
    const load = (env: Record<string, string>) =>
      loadConfig({ text: gatewayText.replace('/app/', `${root}/`), env }).config.admin;
    expect(gatewayFile.listen.host).toBe('0.0.0.0');
    expect(load({ WEIR_ADMIN_HOST: '', WEIR_ADMIN_TOKEN: '' }).host).toBe('127.0.0.1');
    expect(() => load({ WEIR_ADMIN_HOST: '0.0.0.0', WEIR_ADMIN_TOKEN: '' })).toThrow('admin.token');
    expect(load({ WEIR_ADMIN_HOST: '0.0.0.0', WEIR_ADMIN_TOKEN: 'secret' }).host).toBe('0.0.0.0');
  });

  test.each(Object.entries(gatewayFile.upstreams))(
    'runs upstream %s where the gateway file says',
    (name, { endpoints }) => {
      expect(endpoints).toEqual([`http://${name}:${compose.services[name]?.environment?.PORT}`]);
    },
  );
});

describe('The profile monitoring of docker-compose.yml', () => {
  const { prometheus, grafana } = compose.services as Record<'prometheus' | 'grafana', Service>;
  const mountsOf = ({ volumes = [] }: Service) => volumes.map((volume) => volume.split(':'));
  const scrape = parse(read('deploy/prometheus/prometheus.yml')) as {
    readonly rule_files: readonly string[];
    readonly scrape_configs: readonly {
      readonly job_name: string;
      readonly authorization: { readonly credentials_file: string };
      readonly static_configs: readonly { readonly targets: readonly string[] }[];
    }[];
  };

  test('adds Prometheus and Grafana, reachable from this machine alone, and nothing else', () => {
    const added = Object.entries(compose.services).filter(([, { profiles }]) => profiles?.includes('monitoring'));
    expect(added.map(([name]) => name)).toEqual(['prometheus', 'grafana']);
    expect(services.length + added.length).toBe(Object.keys(compose.services).length);
    for (const [name, { image, ports = [] }] of added) {
      expect(image, name).toMatch(/:v?\d+\.\d+\.\d+$/);
      expect(ports, name).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
    }
  });

  test('mounts what is there, where the two look for it', () => {
    for (const service of [prometheus, grafana]) {
      for (const [source, , mode] of mountsOf(service)) {
        expect(existsSync(join(root, source!)), source).toBe(true);
        expect(mode).toBe('ro');
      }
    }
    const [config, rules] = mountsOf(prometheus).map(([, target]) => target);
    expect(prometheus.command).toContain(`--config.file=${config}`);
    expect(scrape.rule_files.map((file) => `/etc/prometheus/${file}`)).toEqual([rules]);
    const provider = parse(read('deploy/grafana/provisioning/dashboards/weir.yml')) as {
      readonly providers: readonly { readonly options: { readonly path: string } }[];
    };
    expect(mountsOf(grafana).map(([, target]) => target)).toEqual([
      '/etc/grafana/provisioning',
      provider.providers[0]?.options.path,
    ]);
  });

  test('scrapes both gateways at their admin port, with their token, as the job that the rules ask for', () => {
    const [job] = scrape.scrape_configs;
    expect(job?.static_configs[0]?.targets).toEqual(gateways.map(([name]) => `${name}:${gatewayFile.admin.port}`));
    expect(job?.job_name).toBe(gatewayFile.telemetry.serviceName);
    const [secret] = prometheus.secrets ?? [];
    expect(job?.authorization.credentials_file).toBe(`/run/secrets/${secret}`);
    const variable = compose.secrets[secret!]?.environment;
    expect(gatewayFile.admin.token).toBe(`\${env.${variable}:-}`);
  });

  test('lets Grafana ask Prometheus by its name and port', () => {
    const source = parse(read('deploy/grafana/provisioning/datasources/prometheus.yml')) as {
      readonly datasources: readonly { readonly url: string; readonly jsonData: { readonly timeInterval: string } }[];
    };
    expect(source.datasources[0]?.url).toBe('http://prometheus:9090');
    const { global } = parse(read('deploy/prometheus/prometheus.yml')) as { global: { scrape_interval: string } };
    expect(source.datasources[0]?.jsonData.timeInterval).toBe(global.scrape_interval);
  });
});

describe('What the containers run, run here', () => {
  const tree = mkdtempSync(join(tmpdir(), 'weir-deploy-'));
  const running = new Map<string, { readonly program: RunningProgram; readonly url: string }>();

  beforeAll(async () => {
    await Promise.all(
      shop.map(async (name) => {
        const { command = [], environment } = compose.services[name]!;
        expect(command[0]).toBe('node');
        const program = await startProgram(command.slice(1), {
          cwd: root,
          env: { ...environment, HOST: '127.0.0.1', PORT: '0' },
        });
        running.set(name, { program, url: String(program.listening.url) });
      }),
    );
  });

  afterAll(async () => {
    await Promise.all([...running.values()].map(({ program }) => program.stop()));
    rmSync(tree, { recursive: true });
  });

  test.each(shop)('%s takes HOST and PORT, and is found healthy and not healthy', async (name) => {
    const { command, environment, healthcheck } = compose.services[name]!;
    expect(
      lineage(stages, 'shop')
        .filter((line) => line.name === 'COPY')
        .flatMap(({ text }) => parseCopy(text).sources),
    ).toContain(command?.[1]?.split('/', 1)[0]);
    expect(Object.keys(environment ?? {}).toSorted()).toEqual(['HOST', 'PORT']);
    expect(new URL(healthcheck?.test.at(-1) ?? '').port).toBe(environment?.PORT);
    const { url } = running.get(name)!;
    expect(new URL(url).hostname).toBe('127.0.0.1');
    expect(await healthy(healthcheck?.test ?? [], url)).toBe(true);
    expect(await healthy(healthcheck?.test ?? [], await deadUrl())).toBe(false);
  });

  test('the gateway takes its file, calls the services, is found ready, and leaves when told', async () => {
    const text = Object.keys(gatewayFile.upstreams)
      .reduce(
        (file, name) => file.replace(gatewayFile.upstreams[name]!.endpoints[0]!, running.get(name)!.url),
        gatewayText,
      )
      .replace('/app/', `${root}/`)
      .replace(`port: ${gatewayFile.listen.port}`, 'port: 0\n  drainDelay: 0ms')
      .replace(`port: ${gatewayFile.admin.port}`, 'port: 0')
      .replace('host: 0.0.0.0', 'host: 127.0.0.1');
    const file = join(tree, 'gateway.yaml');
    writeFileSync(file, text);
    const command = parseExec(lineage(stages, 'shop').findLast(({ name }) => name === 'CMD')?.text ?? '');
    const args = command.slice(1).map((arg) => (arg === '/etc/weir/gateway.yaml' ? file : fromImage(arg)));
    const gateway = await startProgram(args, { cwd: root, env: { NODE_ENV: 'production' } });
    try {
      const check = parseExec(lineage(stages, 'shop').find(({ name }) => name === 'HEALTHCHECK')?.text ?? '');
      expect(await healthy(check, String(gateway.listening.admin))).toBe(true);
      const response = await fetch(new URL('/graphql', String(gateway.listening.address)), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ users(first: 1) { orders(first: 1) { id } } }' }),
      });
      expect(await response.json()).toMatchObject({ data: { users: expect.anything() as unknown } });
    } finally {
      expect(await gateway.stop()).toBe(0);
    }
  });
});
