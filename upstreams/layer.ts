import type { Send } from './call.ts';
import type { Upstream } from './upstream.ts';

/** One concern of an upstream call. Layers are listed in their order, with reasons, in `gateway/pipeline.ts`. */
export interface Layer {
  readonly name: string;
  /** Wraps what is below for one upstream, once, at boot. */
  readonly over: (upstream: Upstream, next: Send) => Send;
}

/** The layers, first above last, around the exchange. */
export function stack(upstream: Upstream, layers: readonly Layer[], exchange: Send): Send {
  return layers.reduceRight((next, layer) => layer.over(upstream, next), exchange);
}
