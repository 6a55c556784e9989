import { catalog } from './catalog/module.ts';
import { orders } from './orders/module.ts';
import { reviews } from './reviews/module.ts';
import { users } from './users/module.ts';

/** What the gateway serves. Whoever adds a service adds its module here. */
export const modules = [catalog, orders, reviews, users];
