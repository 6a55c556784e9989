import type { Identity } from '#core/identity.ts';

/** What one credential shows. */
export interface Principal {
  readonly identity: Identity;
  /** Whether it still counts: a credential can be withdrawn before it ends. Cheap where it is known already. */
  readonly holds: () => boolean | Promise<boolean>;
}
