import type { components } from './generated/reviews.ts';

/** As the service tells it, with the keys of its product and its author. */
export type Review = components['schemas']['Review'];
