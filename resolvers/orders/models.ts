/** What the GraphQL types are made from, where that is more than their own fields: the keys that other modules load by. */
import type { components } from './generated/orders-v2.ts';

export type Money = components['schemas']['Money'];

export type Order = components['schemas']['Order'];

export type OrderItem = components['schemas']['OrderItem'];
