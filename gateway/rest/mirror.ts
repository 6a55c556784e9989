import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Counter } from '#core/meter.ts';
import { newCall, type ResponseSink } from '#upstreams/call.ts';
import { copyContext } from '#upstreams/own-context.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { PathPattern } from '#gateway/routing/pattern.ts';
import { allowedCookies } from './cookies.ts';
import type { MirrorSettings } from './mirror-settings.ts';

/** Tells a copy from a request, for the service that gets it. */
const mirrorHeader = 'x-weir-mirror';

/**
 * Copies requests of a route to another upstream. Nobody waits for a copy, nobody pays for it, it is not tried again, and
 * what comes of it is counted and thrown away.
 */
export class Mirror {
  readonly #upstream: Upstream;
  readonly #settings: MirrorSettings;
  readonly #methods: ReadonlySet<string>;
  readonly #rewrite: PathPattern | undefined;
  readonly #count: (outcome: string) => Counter;
  #inFlight = 0;

  /** @param route its name, for the metric */
  constructor(settings: MirrorSettings, upstream: Upstream, route: string) {
    this.#upstream = upstream;
    this.#settings = settings;
    this.#methods = new Set(settings.methods);
    this.#rewrite = settings.rewrite === undefined ? undefined : new PathPattern(settings.rewrite);
    const family = upstream.surroundings.meter.counter('weir.mirror.requests', {
      description:
        'Copies of requests for another upstream, by what came of them: a status, an error code, or what kept them from being sent',
      unit: '{request}',
    });
    const bound = new Map<string, Counter>();
    this.#count = (outcome) => {
      let counter = bound.get(outcome);
      if (!counter) {
        counter = family.with({ 'http.route': route, 'weir.upstream': upstream.name, 'weir.mirror.outcome': outcome });
        bound.set(outcome, counter);
      }
      return counter;
    };
  }

  /**
   * Copies a request, or not. It goes out in a turn of its own, after the request itself.
   * @param target as the request's upstream gets it
   * @param headers the same; they are not changed
   */
  offer(context: RequestContext, target: string, headers: Headers, body: Uint8Array | undefined): void {
    const { percent, maxBodyBytes, maxInFlight } = this.#settings;
    if (!this.#methods.has(context.method) || (percent < 100 && Math.random() * 100 >= percent)) return;
    const streamed = body === undefined && context.incoming.length !== 0;
    if (streamed || (body !== undefined && body.length > maxBodyBytes)) this.#count('body_too_large').add(1);
    else if (this.#inFlight >= maxInFlight) this.#count('no_room').add(1);
    else {
      this.#inFlight++;
      // Headers belong to the call they are of.
      setImmediate(sendCopy, this, context, this.#target(context, target), { ...headers }, body);
    }
  }

  #target(context: RequestContext, target: string): string {
    if (!this.#rewrite) return target;
    const question = target.indexOf('?');
    return this.#rewrite.render(context.pathParts) + (question < 0 ? '' : target.slice(question));
  }

  send(context: RequestContext, target: string, headers: Headers, body: Uint8Array | undefined): void {
    const { surroundings } = this.#upstream;
    const copy = copyContext(context, surroundings.clock);
    headers[mirrorHeader] = 'true';
    const { cookies } = this.#upstream.settings;
    // What the one may see is not what the other may.
    headers.cookie =
      cookies.length > 0 ? allowedCookies(context.headers.cookie as string | undefined, cookies) : undefined;
    if (headers.cookie === undefined) delete headers.cookie;
    const call = newCall(copy, context.method, target, headers, { body, mirrored: true });
    const sink = new Unread(this.#upstream.settings.maxResponseBytes, (outcome) => {
      this.#inFlight--;
      this.#count(outcome).add(1);
    });
    const handle = this.#upstream.send(call, sink);
    // A stream without an end would keep its place for good.
    sink.stop = () => handle.abort(new WeirError('UPSTREAM_RESPONSE_TOO_LARGE', { upstream: this.#upstream.name }));
  }
}

function sendCopy(
  mirror: Mirror,
  context: RequestContext,
  target: string,
  headers: Headers,
  body: Uint8Array | undefined,
): void {
  mirror.send(context, target, headers, body);
}

/** An answer that nobody reads. */
class Unread implements ResponseSink {
  readonly #ended: (outcome: string) => void;
  readonly #maxBytes: number;
  #status = 0;
  #bytes = 0;
  #stopped = false;
  stop = () => {};

  constructor(maxBytes: number, ended: (outcome: string) => void) {
    this.#maxBytes = maxBytes;
    this.#ended = ended;
  }

  onInformation(): void {
    // Nobody reads that either.
  }

  onHead(status: number): void {
    this.#status = status;
  }

  /** It is read, so that the connection can be used again. */
  onData(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= this.#maxBytes || this.#stopped) return;
    this.#stopped = true;
    this.stop();
  }

  onEnd(): void {
    this.#ended(String(this.#status));
  }

  onError({ code }: WeirError): void {
    this.#ended(code);
  }
}
