/** What clients met. */

export interface ActivityCount {
  begun: number;
  /** What they ended with, by status, error code or a word. */
  readonly outcomes: Map<string, number>;
  /** Begun and not ended. */
  underWay: number;
}

/** No complaint is worth more than a few examples. */
const maxExamples = 5;

export class Tally {
  readonly activities = new Map<string, ActivityCount>();
  /** What must not be, by kind: how often, and the first few. */
  readonly complaints = new Map<string, { count: number; readonly examples: string[] }>();

  begin(activity: string): void {
    const own = this.activities.get(activity) ?? { begun: 0, outcomes: new Map<string, number>(), underWay: 0 };
    this.activities.set(activity, own);
    own.begun++;
    own.underWay++;
  }

  end(activity: string): void {
    this.activities.get(activity)!.underWay--;
  }

  outcome(activity: string, outcome: string): void {
    const { outcomes } = this.activities.get(activity)!;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }

  complain(kind: string, example: string): void {
    const own = this.complaints.get(kind) ?? { count: 0, examples: [] };
    this.complaints.set(kind, own);
    own.count++;
    if (own.examples.length < maxExamples) own.examples.push(example.slice(0, 500));
  }
}
