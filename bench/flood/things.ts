/** What the upstream of the GraphQL workloads has, for the modules in test/fixtures/things. */
export const things = Array.from({ length: 40 }, (_, index) => ({ id: `thing-${index}`, name: `Thing ${index}` }));

export const parts = things.flatMap(({ id }) =>
  Array.from({ length: 12 }, (_, index) => ({ id: `${id}-${index}`, thingId: id, label: `Part ${index} of ${id}` })),
);
