import type { Clock } from '#core/clock.ts';
import type { SharedStore } from '#core/shared-store.ts';
import type { CredentialKind } from '#core/identity.ts';
import { upstreamSchema, type UpstreamSettings } from '#upstreams/settings.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { KeyAdministration } from './api-keys/administration.ts';
import { ApiKeys } from './api-keys/api-keys.ts';
import { IssuedKeys } from './api-keys/issued-keys.ts';
import type { Verifiers } from './authenticate.ts';
import { Blocked } from './blocked.ts';
import { Certificates } from './certificates.ts';
import { Consumers } from './consumers.ts';
import { Failures } from './failures.ts';
import { Introspection } from './introspection.ts';
import { Issuer } from './jwt/issuer.ts';
import { KeySet } from './jwt/key-set.ts';
import { Tokens } from './jwt/tokens.ts';
import type { Principal } from './principal.ts';
import { Sessions } from './sessions.ts';
import type { AuthSettings, ConsumerSettings, IssuerSettings } from './settings.ts';

export interface AuthSurroundings {
  readonly clock: Clock;
  /** What instances share; without it keys are those of the file alone. */
  readonly store: SharedStore | undefined;
  /** Makes the upstream that an identity provider is to the gateway, layers and all. */
  readonly upstream: (name: string, settings: UpstreamSettings) => Upstream;
}

/** Everything that knows who is asking, for one configuration. */
export class Auth {
  readonly verifiers: Verifiers;
  /** Identity providers, which are called like any upstream. */
  readonly upstreams: Map<string, Upstream>;
  readonly #surroundings: AuthSurroundings;
  /** API keys that were issued; undefined where nothing is shared. */
  readonly issuedKeys: IssuedKeys | undefined;
  readonly sessions: Sessions;
  readonly blocked: Blocked;
  readonly #failures: Failures;
  readonly #keySets: Map<string, KeySet>;

  /** @param former what served before a reload: the keys it has read are not read again */
  constructor(
    settings: AuthSettings,
    consumers: readonly ConsumerSettings[],
    surroundings: AuthSurroundings,
    former?: Auth,
  ) {
    this.#surroundings = surroundings;
    this.upstreams = former?.upstreams ?? new Map<string, Upstream>();
    this.#keySets = new Map(settings.jwt.map((issuer) => this.#keysOf(issuer, former)));
    const { clock, store } = surroundings;
    this.blocked = former ? former.blocked : new Blocked();
    this.sessions = former ? former.sessions : new Sessions(clock, this.blocked);
    this.#failures = former ? former.#failures : new Failures(settings.failures, clock);
    this.#failures.configure(settings.failures);
    this.issuedKeys = former?.issuedKeys ?? (store && new IssuedKeys(store, clock));
    this.issuedKeys?.configure(settings.apiKeys.maxStale);
    const known = new Consumers(consumers);
    const issuers = settings.jwt.map(
      (issuer) => new Issuer(issuer, this.#keySets.get(identityOf(issuer))!, surroundings.clock),
    );
    const connect = (url: URL) => this.#connect(url);
    const introspection =
      settings.introspection && new Introspection(settings.introspection, connect, known, settings.tokenCache, clock);
    const kinds = new Set<CredentialKind>();
    if (issuers.length > 0) kinds.add('jwt');
    if (introspection) kinds.add('introspection');
    if (settings.mtls) kinds.add('mtls');
    if (this.issuedKeys || consumers.some(({ keys }) => keys.length > 0)) kinds.add('apiKey');
    this.verifiers = {
      kinds,
      keyHeader: settings.apiKeys.header,
      apiKeys: new ApiKeys(known, this.issuedKeys, clock),
      introspection,
      certificates: settings.mtls && new Certificates(settings.mtls, known, clock),
      failures: this.#failures,
      sessions: this.sessions,
      blocked: this.blocked,
      consumers: known,
      tokens: new Tokens(issuers, known, settings, surroundings.clock),
    };
  }

  /** For operators; undefined where keys cannot be issued. */
  get administration(): KeyAdministration | undefined {
    return this.issuedKeys && new KeyAdministration(this.issuedKeys.store, this.#surroundings.clock);
  }

  /** Serves from now on. Reads the keys of all issuers, so that the first request need not wait for them. */
  start(): void {
    this.sessions.judgeBy((principal) => this.#refuses(principal));
    for (const keys of this.#keySets.values()) keys.refresh();
    this.issuedKeys?.start();
  }

  /** Tells the store what it has not heard of yet, and closes the connections to identity providers. */
  async stop(): Promise<void> {
    this.sessions.stop();
    await this.issuedKeys?.stop();
    await Promise.all([...this.upstreams.values()].map((upstream) => upstream.destroy()));
  }

  #refuses({ identity, fileKey }: Principal): boolean {
    const { consumers, tokens } = this.verifiers;
    if (fileKey !== undefined) return !consumers.withKey(fileKey);
    return identity.credential === 'jwt' && tokens.denies(identity.claims);
  }

  #keysOf(settings: IssuerSettings, former: Auth | undefined): [string, KeySet] {
    const identity = identityOf(settings);
    const { issuer, algorithms, jwks, refresh, keepKeys } = settings;
    const known = former ? former.#keySets.get(identity) : undefined;
    const options = { issuer, algorithms, jwks, refreshMs: refresh, keepMs: keepKeys };
    const connect = (url: URL) => this.#connect(url);
    return [identity, known ?? new KeySet({ ...options, connect, clock: this.#surroundings.clock })];
  }

  #connect({ origin, host }: URL): Upstream {
    let upstream = this.upstreams.get(origin);
    if (!upstream) {
      upstream = this.#surroundings.upstream(
        `auth:${host}`,
        upstreamSchema.parse({ ...provider, endpoints: [origin] }),
      );
      this.upstreams.set(origin, upstream);
    }
    return upstream;
  }
}

/** How an identity provider is called: a request waits for it, so not for long. */
const provider = {
  identity: 'none',
  timeout: '10s',
  attemptTimeout: '5s',
  maxResponseBytes: '1MiB',
  maxInFlight: 64,
  maxConnections: 16,
} as const;

/** Key sets are the same where they are read from the same place for the same use. */
function identityOf({ issuer, algorithms, jwks, refresh, keepKeys }: IssuerSettings): string {
  return JSON.stringify([issuer, algorithms, jwks, refresh, keepKeys]);
}
