import type { ModulePolicy } from '#resolvers/module.ts';
import type { Stage } from './stage.ts';

/**
 * Puts the policies of modules in their places among the gateway's stages. Those for one place stand in the order of the
 * registry.
 * @returns the stages, and a sentence for each policy that has no place
 */
export function placePolicies(
  stages: readonly Stage[],
  modules: readonly { readonly name: string; readonly policies: readonly ModulePolicy[] }[],
): { readonly stages: readonly Stage[]; readonly problems: readonly string[] } {
  const placed = [...stages];
  const problems: string[] = [];
  for (const module of modules) {
    for (const policy of module.policies) {
      const beside = 'before' in policy ? policy.before : policy.after;
      const index = placed.findLastIndex(
        ({ name, after }) => name === beside || ('after' in policy && after === beside),
      );
      if (index < 0) {
        const names = stages.map(({ name }) => name).join(', ');
        problems.push(
          `The policy '${policy.name}' of module '${module.name}' wants to stand beside '${beside}', which is no stage. The stages are ${names}.`,
        );
        continue;
      }
      const stage: Stage = {
        name: `${module.name}/${policy.name}`,
        policy: policy.run,
        why: `of module ${module.name}`,
        ...('after' in policy && { after: beside }),
      };
      placed.splice('before' in policy ? index : index + 1, 0, stage);
    }
  }
  return { stages: placed, problems };
}
