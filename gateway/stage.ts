import type { Policy } from '#core/policy.ts';

/** A place in the pipeline of requests. */
export interface Stage {
  readonly name: string;
  readonly policy: Policy;
  readonly why: string;
  /** Of a module's policy: the stage it asked to follow. */
  readonly after?: string;
}
