import type { CallTrace } from './call-trace.ts';
import type { ClientCertificate } from './client-certificate.ts';
import type { Cancellation } from './cancellation.ts';
import type { Denial } from './denial.ts';
import type { Headers } from './headers.ts';
import { anonymous, type Identity } from './identity.ts';
import type { Estimate } from './price.ts';
import type { Provenance } from './provenance.ts';
import type { Reply } from './reply.ts';
import type { Announcement, Reservation } from './reservation.ts';
import type { Route } from './route.ts';
import type { Span } from './trace.ts';

/** Parts of the path by name, percent-encoded as sent. */
export type PathParts = Readonly<Record<string, string | undefined>>;

const noParts: PathParts = Object.freeze({});

/** What a field could not get that may fail without an error; GraphQL prints the list as `extensions.degraded`. */
export interface Degraded {
  readonly path: readonly (string | number)[];
  readonly code: string;
  readonly upstream: string | undefined;
  /** The field has the value of its `fallback`; else it is null, or stale. */
  readonly fallback?: true;
  /** It has the last good answer, this old. */
  readonly ageMs?: number;
}

/** What one request called, by upstream; the access log prints it, the budget settles on it. */
class CallLedger {
  /** Calls by upstream, whatever their attempts, and whatever came of them. */
  readonly sent = new Map<string, number>();
  /** Those of them that came to nothing before anything of them was sent. */
  unsent = 0;
  /** Reads that were answered by somebody else's call in flight. */
  collapsed = 0;
  /** Reads that were answered from the store. */
  cached = 0;
  total = 0;
  /** What they cost, in thousandths of a call. */
  spent = 0;
  /** By field, where somebody wants to know. */
  trace: CallTrace | undefined;

  /** @param price in thousandths of a call */
  send(upstream: string, price: number): void {
    this.total++;
    this.spent += price;
    this.sent.set(upstream, (this.sent.get(upstream) ?? 0) + 1);
  }

  /** Of a call that came to nothing before anything of it was sent: it is one, and costs nothing. */
  takeBack(price: number): void {
    this.unsent++;
    this.spent -= price;
  }
}

/** What upstreams are told of the way a request took; what a peer claims counts only if it is a trusted proxy. */
export interface Forwarded {
  /** `X-Forwarded-For`: the trusted part of the chain, then the peer. */
  readonly for: string;
  readonly proto: string;
  readonly host: string;
}

/** The request's body as it lies before us, unread. */
export interface IncomingBody {
  /** 0 for none, undefined when it comes in chunks of unknown length. */
  readonly length: number | undefined;
  /**
   * Reads it whole, once.
   * @throws {WeirError} `BODY_TOO_LARGE` above `maxBytes`, `REQUEST_TIMEOUT` when it stops coming, `CLIENT_CLOSED_REQUEST`
   */
  read(maxBytes: number): Promise<Buffer>;
}

/** What a GraphQL request adds to the log. */
export interface OperationFacts {
  name: string | undefined;
  hash: string;
  type: string;
  /** The operator has listed its document, so that its name is no client's choice. */
  listed?: true;
  /** How often it selects each field that a limit counts, by `Type.field`; undefined where it selects none. */
  selected?: ReadonlyMap<string, number> | undefined;
}

export interface RequestFacts {
  readonly id: string;
  readonly startedMs: number;
  readonly method: string;
  readonly target: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly headers: Headers;
  readonly httpVersion: string;
  readonly peerIp: string;
  readonly clientIp: string;
  readonly forwarded: Forwarded;
  readonly clientCertificate: ClientCertificate | undefined;
  readonly span: Span;
  readonly incoming: IncomingBody;
  readonly reply: Reply;
  readonly cancellation: Cancellation;
}

/**
 * One request, from whichever door: what every policy, door and upstream layer reads and writes. It knows nothing of
 * Express or node:http, so that another host can make one.
 */
export class RequestContext {
  readonly id: string;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
  readonly method: string;
  /**
   * The origin-form target, `/path?query`. Only what of its path need not have been encoded is decoded (RFC 3986 §6.2.2.2);
   * the rest is as received.
   */
  readonly target: string;
  readonly path: string;
  /** Without its `?`; empty where there is none. */
  readonly query: string;
  readonly scheme: 'http' | 'https';
  /** Lower case, with its port if the client gave one. */
  readonly host: string;
  readonly headers: Headers;
  /** Lines of the header section as they came, before those of one name were joined. */
  fieldLines = 0;
  readonly httpVersion: string;
  /** The address of the TCP peer. */
  readonly peerIp: string;
  /** The address of the client, as far as `listen.trustedProxies` vouch for it. */
  readonly clientIp: string;
  readonly forwarded: Forwarded;
  /** What the client proved when it connected. */
  readonly clientCertificate: ClientCertificate | undefined;
  /** The parent of what is done for the request just now; a GraphQL operation puts its own here while it runs. */
  span: Span;
  readonly incoming: IncomingBody;
  readonly reply: Reply;
  /** Cancelled when the client goes away or the deadline passes; everything done for the request listens to it. */
  readonly cancellation: Cancellation;
  readonly calls = new CallLedger();
  identity: Identity = anonymous;
  /** Its place among the requests that end with a credential, if it has one. */
  session: { leave(): void } | undefined;
  /** The header that carries credentials of the gateway's own, which no upstream is shown. */
  withheld: string | undefined;
  /** Monotonic milliseconds at which the answer is no longer wanted; only ever brought forward. */
  deadlineMs = Number.POSITIVE_INFINITY;
  /** The client set the deadline itself (`x-weir-deadline-ms`). */
  clientDeadline = false;
  /** It was let in under load as a whole, so that its operation need not be asked again. */
  admitted = false;
  /** How many requests were in flight when it came, with itself, where load may be shed. */
  inFlight: number | undefined;
  /** The gateway says to whom the answer may be shown (CORS); what an upstream says of it is dropped. */
  decidesCors = false;
  /** The host is about to hand the connection over to another protocol. */
  upgrading = false;
  /** It goes on without an end of its own, as WebSockets and event streams do, so it ends with its credential. */
  sustained = false;
  route: Route | undefined;
  /** What the route's path names, percent-encoded as sent. */
  pathParts: PathParts = noParts;
  /** The body, once read; stays undefined where there is none, or where it is passed on as a stream. */
  body: Buffer | undefined;
  /** Who is asking is known, as far as it will be before the request's work begins. */
  identified = false;
  /** What its address has left, which the answer says where nothing is to be said of who asks. */
  atDoor: Announcement | undefined;
  /** The answer says what the consumer has left. */
  allowanceTold = false;
  /** What it was charged; settled when it is over. */
  reservation: Reservation | undefined;
  operation: OperationFacts | undefined;
  /** What a GraphQL operation may come to, once its variables are known. */
  estimate: Estimate | undefined;
  /** Upstreams whose fields are left out of the operation, since the calls to them would cost too much. */
  leftOut: ReadonlySet<string> | undefined;
  degraded: Degraded[] | undefined;
  /** Notes what its answer is made of, where that may be kept for others; undefined where it is not. */
  provenance: Provenance | undefined;
  /** For who writes modules: what contradicts itself in its operation fails, instead of being kept for fewer. */
  development = false;
  /** A static fallback, of the route or of a field, stands in for what an upstream did not give. */
  fallback = false;
  errorCode: string | undefined;
  /** Somebody was not let in, here or to a part of what was asked for. */
  denial: Denial | undefined;
  /** What was behind the error, for the log only. */
  errorCause: unknown;
  requestBytes = 0;

  constructor(facts: RequestFacts) {
    this.id = facts.id;
    this.startedMs = facts.startedMs;
    this.method = facts.method;
    this.target = facts.target;
    const question = facts.target.indexOf('?');
    this.path = question < 0 ? facts.target : facts.target.slice(0, question);
    this.query = question < 0 ? '' : facts.target.slice(question + 1);
    this.scheme = facts.scheme;
    this.host = facts.host;
    this.headers = facts.headers;
    this.httpVersion = facts.httpVersion;
    this.peerIp = facts.peerIp;
    this.clientIp = facts.clientIp;
    this.forwarded = facts.forwarded;
    this.clientCertificate = facts.clientCertificate;
    this.span = facts.span;
    this.incoming = facts.incoming;
    this.reply = facts.reply;
    this.cancellation = facts.cancellation;
  }

  /** For logs and metrics; bounded by the configuration. */
  get routeName(): string | undefined {
    return this.route?.name;
  }
}
