import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { SharedStore, StoreScript } from '#core/shared-store.ts';
import {
  matches,
  maxOverrides,
  overrideKinds,
  placeOf,
  type CommandReport,
  type Operator,
  type OperatorCommand,
  type Override,
} from './override.ts';

const channel = 'overrides';

/** Longer than any override: what is left of those that nobody removed goes with the last of them. */
const keptMs = 25 * 3_600_000;

/** Between two attempts to read what is held. */
const retryMs = 500;

/** What is held and who is told of it are one step: nobody who reads all of it misses what came in between. */
const change: StoreScript = {
  name: 'change-overrides',
  lua: `local told = false
for i = 4, #ARGV, 3 do
  local known = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  -- Who had not heard of a removal must not undo it.
  if not (string.find(known, '"id":"' .. ARGV[i + 1] .. '"', 1, true) and string.find(known, '"removed":true', 1, true)) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
    told = true
  end
end
if not told then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1`,
};

const operatorFields = { by: z.string(), reason: z.string().optional(), from: z.string() };

const overrideSchema = z.object({
  id: z.string(),
  kind: z.enum(overrideKinds),
  target: z.string(),
  action: z.string(),
  scale: z.number().positive().optional(),
  at: z.iso.datetime(),
  until: z.iso.datetime(),
  /** It stays until it would have expired, so that who missed its removal learns of it. */
  removed: z.boolean().default(false),
  ...operatorFields,
});

type Stored = Override & { readonly removed: boolean };

const messageSchema = z.object({
  sender: z.string(),
  command: z.union([
    z.object({ type: z.literal('set'), override: overrideSchema }),
    z.object({
      type: z.literal('remove'),
      which: z.record(z.string(), z.string()),
      operator: z.object(operatorFields),
    }),
  ]),
});

/** Carries a change out here: what `/admin` does where nothing is shared. */
interface Here {
  overrides(): Promise<readonly Override[]>;
  apply(command: OperatorCommand): Promise<CommandReport>;
}

/**
 * What operators hold, in all gateways that share a store: a change in one is told to the others, and who missed it, for it
 * started later or had lost the store, takes it from there. While the store is gone a change is one of this gateway alone,
 * says so, and is told when the store is back.
 */
export class SharedOverrides {
  readonly #here: Here;
  readonly #store: SharedStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #key: string;
  readonly #sender = randomUUID();
  /** What was removed here while the store was gone. */
  #untold: readonly Override[] = [];
  /** Ids of what was removed here: who had not heard of it may still say that it is held. */
  #removed: readonly string[] = [];
  #again: NodeJS.Timeout | undefined;
  #leave = () => {};

  constructor(here: Here, store: SharedStore, clock: Clock, log: Logger) {
    this.#here = here;
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#key = `${store.prefix}{overrides}:held`;
  }

  start(): void {
    this.#leave = this.#store.listen(channel, {
      message: (text) => void this.#hear(text),
      lost: () => clearTimeout(this.#again),
      resumed: () => void this.#catchUp(),
    });
  }

  stop(): void {
    clearTimeout(this.#again);
    this.#leave();
  }

  /** Carries a change out here, and tells the others. */
  async apply(command: OperatorCommand): Promise<CommandReport> {
    const report = await this.#here.apply(command);
    if (!report.ok) return report;
    if (command.type === 'remove')
      this.#removed = [...this.#removed, ...report.removed.map(({ id }) => id)].slice(-maxOverrides);
    try {
      await this.#tell(command, await this.#fieldsOf(command));
      return report;
    } catch (error) {
      this.#log.warn({ err: error }, 'other gateways could not be told of an override');
      if (command.type === 'remove') this.#untold = [...this.#untold, ...report.removed].slice(-maxOverrides);
      return { ...report, note: 'Redis does not answer, so other instances will hear of it when it is back.' };
    }
  }

  async #fieldsOf(command: OperatorCommand): Promise<string[]> {
    if (command.type === 'set') return field(command.override, false);
    const held = (await this.#stored()).filter((override) => matches(override, command.which));
    return held.flatMap((override) => field(override, true));
  }

  #tell(command: OperatorCommand, fields: readonly string[]): Promise<unknown> {
    const message = JSON.stringify({ sender: this.#sender, command });
    return this.#store.run(change, [this.#key], [keptMs, this.#store.prefix + channel, message, ...fields]);
  }

  async #hear(text: string): Promise<void> {
    const { success, data } = messageSchema.safeParse(json(text));
    if (!success) return this.#log.warn({}, 'what another gateway says of an override cannot be read');
    const command = data.command as OperatorCommand;
    const undone = command.type === 'set' && this.#removed.includes(command.override.id);
    if (data.sender !== this.#sender && !undone) await this.#take(command);
  }

  async #take(command: OperatorCommand): Promise<void> {
    const report = await this.#here.apply(command);
    // Another configuration may have no such upstream, or one endpoint less.
    if (!report.ok) this.#log.warn({ detail: report.detail }, 'an override of another gateway cannot be held here');
  }

  /** Messages may have been missed: what is held here and what the store has become the same, the later of two prevails. */
  async #catchUp(): Promise<void> {
    try {
      for (const override of this.#untold) await this.#tell(removal(override, override), field(override, true));
      this.#untold = [];
      const stored = await this.#stored();
      for (const override of await this.#here.overrides()) {
        const other = stored.find((one) => placeOf(one) === placeOf(override));
        if (other?.id === override.id && other.removed)
          await this.#take(removal(override, { by: 'weir', from: 'redis' }));
        else if (other?.id !== override.id && !(other && other.at > override.at))
          await this.#tell({ type: 'set', override }, field(override, false));
      }
      const here = await this.#here.overrides();
      for (const { removed, ...override } of stored) {
        const own = here.find((one) => placeOf(one) === placeOf(override));
        if (!removed && own?.id !== override.id && !(own && own.at >= override.at))
          await this.#take({ type: 'set', override });
      }
    } catch (error) {
      // Messages come by a connection of their own, and may be there before answers are.
      this.#again = setTimeout(() => void this.#catchUp(), retryMs).unref();
      this.#log.debug({ err: error }, 'overrides could not be compared with the store');
    }
  }

  /** Those that have not expired. What cannot be read is left where it is: another version may. */
  async #stored(): Promise<Stored[]> {
    const entries = (await this.#store.call('HGETALL', this.#key)) as readonly string[];
    const now = this.#clock.epochMs();
    return entries.flatMap((text, index) => {
      if (index % 2 === 0) return [];
      const { success, data } = overrideSchema.safeParse(json(text));
      return success && Date.parse(data.until) > now ? [data as Stored] : [];
    });
  }
}

/** Name, id and value in the store. */
function field(override: Override, removed: boolean): string[] {
  return [placeOf(override), override.id, JSON.stringify({ ...override, removed })];
}

function removal({ id }: Override, { by, from }: Operator): OperatorCommand {
  return { type: 'remove', which: { id }, operator: { by, from } };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
