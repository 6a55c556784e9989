/** What the bench and its loader say to each other. */

/** A request, over and over. */
export interface Kind {
  readonly name: string;
  /** As it goes over the wire, Latin-1. */
  readonly text: string;
  /** Length of the one good answer. */
  readonly answerBytes: number;
  /** Of all requests, 0 to 1. */
  readonly share: number;
}

export interface LoaderOrders {
  readonly port: number;
  readonly seconds: number;
  /** Requests in a second; left out, the next one is sent when an answer has come. */
  readonly rate?: number;
  /** The most that are open at once; without a rate, how many there are. */
  readonly connections: number;
  /** A client that has waited so long leaves. */
  readonly timeoutMs: number;
  readonly kinds: readonly Kind[];
}

export interface KindCounts {
  readonly sent: number;
  readonly ok: number;
  readonly refused: number;
}

/** What happened in one second. */
export interface LoaderSecond {
  readonly sent: number;
  /** Due, but all connections were in use. */
  readonly unsent: number;
  /** Without an answer in time. */
  readonly late: number;
  /** Connections that broke with a request under way. */
  readonly broken: number;
  /** Answers that were neither the good one nor a refusal. */
  readonly wrong: number;
  readonly kinds: readonly KindCounts[];
  /** Latencies by bucket. */
  readonly ok: readonly (readonly [bucket: number, count: number])[];
  readonly refused: readonly (readonly [bucket: number, count: number])[];
  readonly connections: number;
  readonly underWay: number;
}
