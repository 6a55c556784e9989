/** What the GraphQL types are made from, where that is more than their own fields: the keys that other modules load by. */

export interface Money {
  readonly amount: number;
  readonly currency: string;
}

export interface Order {
  readonly id: string;
  readonly userId: string;
  readonly placedAt: string;
  readonly state: 'OPEN' | 'PAID' | 'SHIPPED' | 'CANCELLED';
  readonly items: OrderItem[];
  readonly total: Money;
  readonly tax: Money;
}

export interface OrderItem {
  readonly productId: string;
  readonly quantity: number;
  readonly unitPrice: Money;
}
