import { defineModule, defineUpstream, sdl } from '../../../resolvers/index.ts';
import { sicknessNames, wellNames, type UpstreamName } from '../sicknesses.ts';

const names: readonly UpstreamName[] = [...wellNames, ...sicknessNames];

interface Context {
  readonly clients: Readonly<Record<UpstreamName, Client>>;
}

interface Client {
  readonly get: (path: string, options: { readonly query: { readonly id: string } }) => Promise<unknown>;
}

const fieldOf =
  (name: UpstreamName) =>
  (_: unknown, { id }: { readonly id: string }, { clients }: Context) =>
    clients[name].get('/items', { query: { id } });

/** A field for each upstream, which asks it once. */
const items = defineModule({
  name: 'items',
  owner: 'bench',
  upstreams: Object.fromEntries(names.map((name) => [name, defineUpstream(import.meta)])),
  typeDefs: sdl(import.meta, './items.graphql'),
  resolvers: { Query: Object.fromEntries(names.map((name) => [name, fieldOf(name)])) },
});

export const modules = [items];
