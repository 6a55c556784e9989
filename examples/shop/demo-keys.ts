import { hashOf } from '#policies/auth/api-keys/format.ts';
import type { Project } from '#gateway/project.ts';
import type { DemoKey } from '#gateway/graphql/graphiql-consumers.ts';

/** Keys of the consumers in gateway.yaml, where their hashes are. They stand here for everybody to read. */
const keys = ['demo-free', 'demo-pro', 'demo-partner'];

/** Those that a project takes. */
export function demoKeysOf({ loaded }: Project): readonly DemoKey[] {
  return keys.flatMap((key) => {
    const consumer = loaded.config.consumers.find((each) => each.keys.includes(hashOf(key)));
    return consumer ? [{ consumer: consumer.id, tier: consumer.tier ?? 'default', key }] : [];
  });
}
