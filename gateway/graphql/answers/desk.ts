import type { RequestContext } from '#core/context.ts';
import { Provenance } from '#core/provenance.ts';
import { costTold } from '#gateway/graphql/cost-report.ts';
import type { Engine } from '#gateway/graphql/engine.ts';
import type { OperationRecord } from '#gateway/graphql/operation-record.ts';
import type { GraphqlParameters } from '#gateway/graphql/parameters.ts';
import type { PreparedOperation } from '#gateway/graphql/prepare.ts';
import type { RawResult } from '#gateway/graphql/result.ts';
import type { Answer } from './answer.ts';
import { isBypass } from './answers.ts';
import type { KeptAnswer } from './kept-answer.ts';

/** Where operations meet the store of finished answers. */
export class AnswerDesk {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  find(
    operation: PreparedOperation,
    { variables }: Pick<GraphqlParameters, 'variables'>,
    context: RequestContext,
  ): Answer | undefined {
    return this.#engine.answers?.find(operation, variables, context);
  }

  /**
   * Charges for a stored answer what it costs: nothing but that it was asked for. A promise only where a store is asked.
   * @param byGet that caches between keep it
   * @throws {WeirError} `RATE_LIMITED`, `LIMITS_UNAVAILABLE`
   */
  give(
    answer: Answer,
    context: RequestContext,
    record: OperationRecord,
    byGet: boolean,
  ): KeptAnswer | Promise<KeptAnswer> {
    const asked = this.#engine.limits().charge(context, 0);
    return asked
      ? asked.then(() => this.#take(answer, context, record, byGet))
      : this.#take(answer, context, record, byGet);
  }

  #take(answer: Answer, context: RequestContext, record: OperationRecord, byGet: boolean): KeptAnswer {
    context.calls.cached++;
    context.estimate = answer.estimate;
    this.#engine.answers!.take(answer);
    // Each of its upstreams has been spared a read.
    for (const upstream of answer.estimate?.byUpstream.keys() ?? []) this.#engine.readsOf(upstream)?.count(true);
    record.end('ok');
    return { answer, from: 'store', told: this.#toldBeside(answer, context, byGet) };
  }

  /** Has noted what the answer is made of, from here on, where it may be kept. */
  watch(operation: PreparedOperation, context: RequestContext): void {
    if (this.#engine.answers?.keeps(operation, context) === true) context.provenance = new Provenance();
  }

  /** Keeps an answer that is whole and as good as it can be. */
  keep(
    { data, errors, extensions }: RawResult,
    operation: PreparedOperation,
    { variables }: Pick<GraphqlParameters, 'variables'>,
    context: RequestContext,
    byGet: boolean,
  ): KeptAnswer | undefined {
    const { provenance, degraded, leftOut, fallback } = context;
    if (!provenance || errors || extensions || degraded || leftOut || fallback || !data) return undefined;
    const kept = this.#engine.answers?.keep(operation, variables, context, provenance, data);
    if (!kept) return undefined;
    const { answer, stored } = kept;
    return { answer, from: stored ? 'stored' : 'made', told: this.#toldBeside(answer, context, byGet) };
  }

  /**
   * `Cache-Status` (RFC 9211) of an answer that could have come from the store, and is not one that is kept; undefined where it
   * could not.
   */
  missed(
    { data, errors, extensions }: RawResult,
    { keeping }: PreparedOperation,
    context: RequestContext,
  ): string | undefined {
    if (!keeping || this.#engine.answers?.enabled !== true) return undefined;
    if (isBypass(context)) return 'weir; fwd=bypass';
    const { provenance, degraded, leftOut, fallback } = context;
    if (errors || extensions || degraded || leftOut || fallback || !data) return 'weir; fwd=miss; detail="incomplete"';
    // Somebody forbids it, or nobody says how long it is good.
    const unstorable = provenance?.obstacle !== undefined || provenance?.untilMs === Number.POSITIVE_INFINITY;
    return unstorable ? 'weir; fwd=miss; detail="not storable"' : 'weir; fwd=miss';
  }

  /** What is told of the cost beside it. What caches between may give to anybody says nothing of one. */
  #toldBeside(
    { public: open }: Answer,
    context: RequestContext,
    byGet: boolean,
  ): Readonly<Record<string, unknown>> | undefined {
    const { reportCost } = this.#engine.settings;
    const told = costTold(context, reportCost);
    return open && byGet && !reportCost ? undefined : told;
  }
}
