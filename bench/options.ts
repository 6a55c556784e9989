import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export const usage = `Usage: npm run bench -- [options]

  --only NAME       these scenarios only; may be repeated
  --rounds N        rounds of each subject that count; default 7
  --seconds N       length of a round, whole seconds; default 5
  --quick           3 rounds of 2 s: under two minutes, for a look
  --against DIR     also measure the gateway of another checkout, side by side in the same rounds
  --json FILE       also write the figures there
  --help

npm run bench -- limits --help   what limits add, and whether they keep their times
npm run bench -- load --help     more than the gateway can do
npm run bench -- sick --help     what a sick upstream costs those that are well
npm run bench -- soak --help     minutes of mixed load with faults
`;

export interface Options {
  /** All when empty. */
  readonly only: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  /** Of a subject, before the rounds: V8 takes seconds to compile what is hot. */
  readonly warmUpSeconds: number;
  readonly against: string | undefined;
  readonly json: string | undefined;
  readonly help: boolean;
}

/** @throws {TypeError} for an option that is unknown, incomplete or out of bounds */
export function parseOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      against: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  return {
    only: values.only,
    rounds: whole('--rounds', values.rounds, values.quick ? 3 : 7),
    seconds: whole('--seconds', values.seconds, values.quick ? 2 : 5),
    warmUpSeconds: values.quick ? 2 : 10,
    against: values.against === undefined ? undefined : resolve(values.against),
    json: values.json,
    help: values.help,
  };
}

/** @throws {TypeError} for anything but a whole number from 1 to 1000 */
export function whole(name: string, given: string | undefined, fallback: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value;
  throw new TypeError(`${name} takes a whole number from 1 to 1000, not '${given}'.`);
}
