import type { RequestContext } from '#core/context.ts';
import type { FieldPath } from '#core/field-path.ts';
import type { StaleAnswer } from '#upstreams/cache/reading.ts';
import { noteStale } from '#upstreams/loaders/request-loader.ts';
import { currentPurpose, type FieldCaching, type Purpose } from '#upstreams/purpose.ts';

/** A field whose function calls upstreams, for one parent. */
export class FieldPurpose implements Purpose {
  /** `Type.field`. */
  readonly name: string;
  readonly caching: FieldCaching | undefined;
  readonly path: FieldPath;
  personal = false;
  readonly #context: RequestContext;

  constructor(name: string, caching: FieldCaching | undefined, path: FieldPath, context: RequestContext) {
    this.name = name;
    this.caching = caching;
    this.path = path;
    this.#context = context;
  }

  answered(): void {}

  stoodIn(answer: StaleAnswer): void {
    noteStale(this.#context, answer, this.path);
  }
}

/** The field whose function is running. */
export function callingField(): FieldPurpose | undefined {
  const purpose = currentPurpose();
  return purpose instanceof FieldPurpose ? purpose : undefined;
}
