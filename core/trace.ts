/** Tracing as a port: spans by hand, none made for a request that is not sampled. */
export type SpanKind = 'server' | 'client' | 'internal';

export interface Span {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** Recorded here: only then is it worth describing. */
  readonly sampled: boolean;
  /**
   * W3C trace-flags to send on: bit 0 sampled, bit 1 random trace id; above them, what other propagation has (bit 8, B3's
   * debug). Bit 0 may be set where nothing is recorded here.
   */
  readonly flags: number;
  /** The W3C `tracestate` to send on, if the caller's was valid. */
  readonly traceState: string | undefined;
  /** A span below this one. An unsampled span returns itself: nothing is recorded, and nothing is allocated. */
  child(name: string, kind: SpanKind): Span;
  set(key: string, value: string | number | boolean): void;
  fail(message: string): void;
  end(): void;
}

/** Sets what the next hop reads of `span`: W3C `traceparent` and `tracestate`, B3 where configured. */
export type Propagate = (span: Span, headers: Record<string, string | string[] | undefined>) => void;
