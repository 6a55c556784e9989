/** A page as services give it: the items, and the cursor of the next page if there is one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor?: string | null | undefined;
  readonly total?: number | undefined;
}

/** Relay's GraphQL Cursor Connections, as far as a service with one cursor a page can serve them. */
export interface Connection<Item> {
  /** Services name a cursor where a page ends, so only the last edge has one. */
  readonly edges: { readonly node: Item; readonly cursor: string | null }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
  readonly totalCount: number | null;
}

/**
 * A page as a connection.
 * @param after the cursor that it was asked for with
 */
export function connection<Item>(
  { items, nextCursor, total }: Page<Item>,
  after: string | null | undefined,
): Connection<Item> {
  const endCursor = nextCursor ?? null;
  return {
    edges: items.map((node, index) => ({ node, cursor: index === items.length - 1 ? endCursor : null })),
    pageInfo: {
      hasNextPage: endCursor !== null,
      // Relay §4.4: something was before it if a cursor led here.
      hasPreviousPage: typeof after === 'string',
      startCursor: null,
      endCursor,
    },
    totalCount: total ?? null,
  };
}
