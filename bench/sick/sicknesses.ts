/** What can be wrong with an upstream. Each is an upstream of the gateway under test, by its name. */
export const sicknesses = {
  dead: 'is dead: nobody listens',
  hung: 'hangs: takes requests, never answers',
  resetting: 'resets: takes requests, resets connections',
  failing: 'fails: answers 500 and nothing else',
  dripping: 'drips: a byte a second, the head never ends',
  trickling: 'trickles: a good head, then a byte of body a second',
} as const;

export type Sickness = keyof typeof sicknesses;

export const sicknessNames = Object.keys(sicknesses) as Sickness[];

/** The upstreams that are well: the one that is measured, and one that stands where a sick one stands in other rounds. */
export const wellNames = ['well', 'neighbour'] as const;

export type UpstreamName = Sickness | (typeof wellNames)[number];
