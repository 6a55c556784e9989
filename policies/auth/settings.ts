import { z } from 'zod';
import { anonymous } from '#core/identity.ts';
import { compileRule } from './rule.ts';
import { count, duration, headerName, name, network } from '#upstreams/fields.ts';

/** What may be asked for at most; a token longer than any header is none. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;

const loopbackHosts = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Keys that come over a connection that can be read into are nobody's keys. */
const secureUrl = z.url({ protocol: /^https?$/, error: 'write an https:// URL' }).refine(
  (text) => {
    const url = URL.parse(text);
    return url !== null && !url.username && (url.protocol === 'https:' || loopbackHosts.test(url.hostname));
  },
  { error: 'is not https; write an https:// URL (http:// is for loopback only)' },
);

/** A claim by its name, or by a path of names with dots; of several the first that a token has. */
const claim = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(8)])
  .transform((names) => [names].flat());

const claimNames = z
  .strictObject({
    consumer: claim.prefault(['azp', 'client_id']).describe('The application.'),
    subject: claim.prefault('sub').describe('The end user.'),
    tier: claim.prefault('tier').describe('The tier, where `consumers` does not say it.'),
    roles: claim.prefault('roles').describe('A list of roles.'),
    scopes: claim.prefault(['scope', 'scp']).describe('Scopes: a list, or text with spaces (RFC 8693 §4.2).'),
  })
  .prefault({})
  .describe('Which claims say what; `realm_access.roles` is a path.');

const introspectionSchema = z.strictObject({
  url: secureUrl.describe('Where the authorization server answers.'),
  clientId: z.string().min(1).describe("The gateway's own name there."),
  clientSecret: z.string().min(1).describe('Its secret.'),
  ttl: duration({ maxMs: 3_600_000 })
    .prefault('30s')
    .describe(
      'How long an answer is believed, at most until the token ends; a token that is withdrawn lives that long.',
    ),
  negativeTtl: duration({ maxMs: 3_600_000 }).prefault('5s').describe('The same for a token that is not active.'),
  audience: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .transform((names) => [names].flat())
    .optional()
    .describe('What `aud` must hold, this or one of these; any when left out.'),
  claims: claimNames,
});

export type IntrospectionSettings = z.output<typeof introspectionSchema>;

const issuerSchema = z.strictObject({
  issuer: z.string().min(1).describe('What `iss` must be, exactly (RFC 9068 §4).'),
  audience: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .transform((names) => [names].flat())
    .describe('What `aud` must hold: this, or one of these.'),
  jwks: secureUrl.optional().describe("Where its keys are; found by OIDC discovery at the issuer's URL when left out."),
  algorithms: z
    .array(z.enum(algorithms))
    .min(1, 'name at least one algorithm')
    .default(['RS256', 'ES256', 'EdDSA'])
    .describe('Signature algorithms that are taken; symmetric ones and `none` never are (RFC 8725 §3.1).'),
  typ: z
    .string()
    .optional()
    .describe("What the header's `typ` must be, such as `at+jwt` (RFC 9068 §2.1); any when left out."),
  skew: duration({ minMs: 0, maxMs: 300_000 })
    .prefault('30s')
    .describe("How far the issuer's clock may be from ours, for `exp`, `nbf` and `iat`."),
  refresh: duration({ minMs: 1_000, maxMs: 86_400_000 })
    .prefault('5m')
    .describe('How often its keys are read again; a key that has left is refused from then on.'),
  keepKeys: duration({ maxMs: 7 * 86_400_000 })
    .prefault('24h')
    .describe('How long known keys go on working while the issuer cannot be reached.'),
  claims: claimNames,
});

export type IssuerSettings = z.output<typeof issuerSchema>;

const requirementModes = ['required', 'optional', 'none'] as const;

const words = z.array(z.string().min(1)).min(1);

const requirement = z.strictObject({
  mode: z.enum(requirementModes).default('required').describe('Whether a credential is needed.'),
  accept: z
    .array(z.enum(['jwt', 'apiKey', 'introspection', 'mtls']))
    .min(1, 'name at least one kind, or leave accept out')
    .optional()
    .describe('Kinds of credential that count here; all when left out.'),
  scopes: z
    .strictObject({
      all: words.optional().describe('All of these are needed.'),
      any: words.optional().describe('One of these is needed.'),
    })
    .optional()
    .describe('Scopes that are needed: all of `all`, and one of `any`.'),
  roles: z.array(z.string().min(1)).default([]).describe('One of these roles is needed; none when empty.'),
  rule: z
    .string()
    .max(4_096)
    .default('')
    .transform((text, context) => {
      if (text === '') return undefined;
      const rule = compileRule(text);
      if (!('problem' in rule)) return rule;
      context.addIssue({ code: 'custom', message: `is no rule that can be used: ${rule.problem}; correct it` });
      return z.NEVER;
    })
    .describe('A condition in CEL over `consumer`, `claims` and `request` that must hold; none when empty.'),
});

/** What a route asks of who calls it; a bare word is short for `{ mode }`. */
export const requirementSchema = z.union([
  z.enum(requirementModes).transform((mode) => requirement.parse({ mode })),
  requirement,
]);

export type RequirementSettings = z.output<typeof requirement>;

/** Who may call whatever the gateway serves. */
export const authSchema = z.strictObject({
  default: requirementSchema
    .prefault('optional')
    .describe(
      'For routes and `/graphql` that say nothing: `required`, `optional` (who shows a credential is checked), `none`, or all that `auth` of a route can say.',
    ),
  jwt: z
    .array(issuerSchema)
    .max(64)
    .default([])
    .refine((issuers) => new Set(issuers.map(({ issuer }) => issuer)).size === issuers.length, {
      error: 'names one issuer twice; write each once',
    })
    .describe('Issuers whose JWTs are taken as `Authorization: Bearer`.'),
  apiKeys: z
    .strictObject({
      header: headerName().default('x-api-key').describe('The header that carries a key.'),
      maxStale: duration({ minMs: 0, maxMs: 86_400_000 })
        .prefault('60s')
        .describe('The longest that an issued key goes on working while Redis cannot be asked about it.'),
    })
    .prefault({})
    .describe('API keys of consumers.'),
  introspection: introspectionSchema
    .optional()
    .describe('Opaque bearer tokens: the authorization server is asked about each (RFC 7662).'),
  mtls: z
    .strictObject({
      subject: z
        .enum(['CN', 'dns', 'uri', 'email', 'fingerprint'])
        .default('CN')
        .describe(
          "Where a client certificate names its consumer: its subject's CN, its one alternative name of a kind, or " +
            'nowhere but in the `certificates` of `consumers`, which always count.',
        ),
    })
    .optional()
    .describe('Client certificates as credentials; needs `listen.tls.clientCa`.'),
  failures: z
    .strictObject({
      free: count(0, 1_000_000).default(5).describe('Refused credentials of one address that are taken for mistakes.'),
      maxDelay: duration({ minMs: 0, maxMs: 60_000 })
        .prefault('2s')
        .describe('The longest that a refusal is held back after that; it begins with 50ms and doubles.'),
    })
    .prefault({})
    .describe('Slows down who tries credentials that fail; one that is right never waits.'),
  deniedTokens: z
    .array(z.string().min(1).max(256))
    .max(10_000)
    .default([])
    .describe('JWTs that are refused although they are right, by their `jti`; a reload is enough.'),
  tokenCache: count(0, 1_000_000).default(10_000).describe('Verified tokens that are remembered, by digest.'),
});

export type AuthSettings = z.output<typeof authSchema>;

const hash = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'write the hash of a key: sha256: and 64 hex digits; weir keys new prints one');

const consumerSchema = z.strictObject({
  id: name()
    .refine((id) => id !== anonymous.consumer, { error: 'is the name of who shows no credential; choose another' })
    .describe('Its name, for upstreams, logs and limits.'),
  tier: name().optional().describe('Its tier; what a token says of it counts only where this is left out.'),
  roles: z.array(z.string().min(1)).default([]).describe('Roles it has besides those of a token.'),
  scopes: z.array(z.string().min(1)).default([]).describe('Scopes of its API keys.'),
  allowIps: z
    .array(network())
    .max(256)
    .default([])
    .describe('Addresses and CIDR blocks it may call from; anywhere when empty.'),
  certificates: z
    .array(
      z
        .string()
        .transform((text) => text.replaceAll(':', '').toLowerCase())
        .refine((text) => /^[0-9a-f]{64}$/.test(text), { error: 'write the SHA-256 fingerprint: 64 hex digits' }),
    )
    .max(32)
    .default([])
    .describe('SHA-256 fingerprints of its client certificates.'),
  keys: z.array(hash).max(32).default([]).describe('Hashes of its API keys.'),
});

export const consumersSchema = z
  .array(consumerSchema)
  .max(100_000)
  .refine((consumers) => new Set(consumers.map(({ id }) => id)).size === consumers.length, {
    error: 'names one consumer twice; write each once',
  })
  .refine(
    (consumers) => {
      const keys = consumers.flatMap((consumer) => consumer.keys);
      return new Set(keys).size === keys.length;
    },
    { error: 'gives one key to two consumers; issue one for each' },
  )
  .default([]);

export type ConsumerSettings = z.output<typeof consumerSchema>;
