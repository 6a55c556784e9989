import type { RequestContext } from '#core/context.ts';
import type { Stage } from '#gateway/stage.ts';

/**
 * Runs a request through the stages. As long as none has to wait it runs through in one go, without a promise; a stage
 * that has answered ends it.
 */
export function runStages(
  stages: readonly Stage[],
  context: RequestContext,
  dispatch: () => void,
  refuse: (thrown: unknown) => void,
  from = 0,
): void {
  try {
    for (let index = from; index < stages.length; index++) {
      const waiting = stages[index]!.policy(context);
      if (waiting) {
        waiting.then(() => {
          if (!context.reply.finished) runStages(stages, context, dispatch, refuse, index + 1);
        }, refuse);
        return;
      }
      if (context.reply.finished) return;
    }
    dispatch();
  } catch (thrown) {
    refuse(thrown);
  }
}
