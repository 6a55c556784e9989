import type { ClientCertificate } from '#core/client-certificate.ts';
import type { RequestContext } from '#core/context.ts';
import { noteDenial, type ShownInVain } from '#core/denial.ts';
import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { CredentialKind } from '#core/identity.ts';
import type { Policy } from '#core/policy.ts';
import type { ApiKeys } from './api-keys/api-keys.ts';
import { prefixOf, writablePrefixOf } from './api-keys/format.ts';
import type { Certificates } from './certificates.ts';
import type { Blocked } from './blocked.ts';
import { unauthenticated } from './challenge.ts';
import type { Consumers } from './consumers.ts';
import { credentialsOf, type Shown } from './credentials.ts';
import type { Failures } from './failures.ts';
import { InvalidCredential } from './invalid-credential.ts';
import type { Introspection } from './introspection.ts';
import type { Tokens } from './jwt/tokens.ts';
import type { Principal } from './principal.ts';
import type { Sessions } from './sessions.ts';

/** What checks credentials, by kind. */
export interface Verifiers {
  /** Those that the configuration has something to check with. */
  readonly kinds: ReadonlySet<CredentialKind>;
  readonly keyHeader: string;
  readonly apiKeys: ApiKeys;
  readonly tokens: Tokens;
  readonly introspection: Introspection | undefined;
  readonly certificates: Certificates | undefined;
  readonly failures: Failures;
  readonly sessions: Sessions;
  readonly blocked: Blocked;
  readonly consumers: Consumers;
}

/**
 * Finds out who is asking. A credential that is shown must be right, even where none is needed: to go on as anonymous
 * would hide the mistake. Two that name different consumers are refused, since it would be chance whose request it is.
 */
export function authenticate(verifiers: Verifiers): Policy {
  return (context: RequestContext) => {
    context.withheld = verifiers.keyHeader;
    return identify(verifiers, context.headers, context);
  };
}

/** The same by what is given as headers, wherever it came from. */
export function identify(verifiers: Verifiers, headers: Headers, context: RequestContext): void | Promise<void> {
  const { requirement } = context.route!;
  if (requirement.mode === 'none') return;
  const shown = credentialsOf(headers, verifiers.keyHeader, verifiers.kinds, requirement);
  if (shown.length === 0) {
    if (context.clientCertificate) byCertificate(verifiers, context.clientCertificate, context);
    return;
  }
  if (shown.length === 1) return one(verifiers, shown[0]!, context);
  return all(verifiers, shown, context);
}

/** A certificate beside a token only binds it; alone, it is the credential. */
function byCertificate(verifiers: Verifiers, certificate: ClientCertificate, context: RequestContext): void {
  const { certificates } = verifiers;
  const { accept: accepted } = context.route!.requirement;
  if (!certificates || (accepted && !accepted.has('mtls'))) return;
  try {
    accept(certificates.verify(certificate), verifiers, context);
  } catch (error) {
    if (!(error instanceof InvalidCredential)) throw error;
    const refused = refusal(error, context);
    noteDenial(context, refused, { shown: ['mtls'], keyPrefix: undefined });
    throw refused;
  }
}

/** What nearly every request shows; one that is known already is not waited for. */
function one(verifiers: Verifiers, shown: Shown, context: RequestContext): void | Promise<void> {
  try {
    const principal = verify(verifiers, shown, context);
    if (!(principal instanceof Promise)) {
      accept(principal, verifiers, context);
      return;
    }
    return principal
      .then((found) => accept(found, verifiers, context))
      .catch((error: unknown) => refuse(error, verifiers, [shown], context));
  } catch (error) {
    return refuse(error, verifiers, [shown], context);
  }
}

async function all(verifiers: Verifiers, shown: readonly Shown[], context: RequestContext): Promise<void> {
  try {
    const principals = await Promise.all(shown.map(async (each) => verify(verifiers, each, context)));
    const [first, ...others] = principals;
    if (others.some(({ identity }) => identity.consumer !== first!.identity.consumer))
      throw new WeirError('CREDENTIALS_CONFLICT');
    accept(first!, verifiers, context);
  } catch (error) {
    await refuse(error, verifiers, shown, context);
  }
}

function accept(principal: Principal, { sessions, consumers }: Verifiers, context: RequestContext): void {
  const { boundTo } = principal;
  if (boundTo !== undefined && boundTo !== context.clientCertificate?.thumbprint)
    throw new InvalidCredential('it is bound to a certificate that was not shown');
  if (!consumers.allows(principal.identity.consumer, context.clientIp))
    throw new InvalidCredential('it is not good from this address');
  context.identity = principal.identity;
  // Who has gone meanwhile has been settled already.
  if (!context.cancellation.cancelled && !context.reply.finished) sessions.enter(context, principal);
}

function verify(
  { apiKeys, tokens, introspection }: Verifiers,
  { kind, text }: Shown,
  context: RequestContext,
): Principal | Promise<Principal> {
  if (kind === 'apiKey') return apiKeys.verify(text, context);
  if (kind === 'introspection') return introspection!.verify(text);
  return tokens.verify(text);
}

/** Throws, now or after a while: who fails often waits for the answer. */
function refuse(
  thrown: unknown,
  { failures }: Verifiers,
  shown: readonly Shown[],
  context: RequestContext,
): Promise<never> {
  const key = shown.find(({ kind }) => kind === 'apiKey');
  const inVain: ShownInVain = { shown: shown.map(({ kind }) => kind), keyPrefix: key && writablePrefixOf(key.text) };
  if (!(thrown instanceof InvalidCredential)) {
    if (thrown instanceof WeirError) noteDenial(context, thrown, inVain);
    throw thrown;
  }
  const error = refusal(thrown, context);
  noteDenial(context, error, inVain);
  const delay = failures.note(context.clientIp, key && prefixOf(key.text));
  if (!delay) throw error;
  return delay.then(() => {
    throw error;
  });
}

function refusal({ message }: InvalidCredential, { route }: RequestContext): WeirError {
  return unauthenticated(route!.requirement, `The credential is refused: ${message}.`);
}
