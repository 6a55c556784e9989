import type { Headers } from '#core/headers.ts';
import type { Identity } from '#core/identity.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { UpstreamSettings } from '#upstreams/settings.ts';

/**
 * Shows the upstream who is asking, as its `identity` says, and records exactly what was shown: that is part of the key
 * under which a read may be shared. It alone writes credentials and `x-weir-*` identity headers; the doors have dropped the
 * client's.
 */
export const identity: Layer = {
  name: 'identity',
  over: (upstream, next) => {
    const show = showing(upstream.settings.identity);
    if (!show) return next;
    return (call, sink) => {
      if (!call.own) call.identityKey = show(call);
      return next(call, sink);
    };
  },
};

/** What puts the identity into a call, and says as what it counts; undefined where the upstream is shown nothing. */
export function showing(shown: UpstreamSettings['identity']): ((call: UpstreamCall) => string) | undefined {
  if (shown === 'none') return undefined;
  return shown === 'headers' ? showHeaders : shown === 'token' ? showToken : showStatic(shown.static);
}

function showHeaders({ context, headers }: UpstreamCall): string {
  const who: Identity = context.identity;
  headers['x-weir-consumer'] = who.consumer;
  headers['x-weir-tier'] = who.tier;
  const roles = who.roles.join(',');
  const scopes = who.scopes.join(' ');
  if (roles !== '') headers['x-weir-roles'] = roles;
  if (scopes !== '') headers['x-weir-scopes'] = scopes;
  if (who.subject !== undefined) headers['x-weir-subject'] = who.subject;
  // A line break cannot stand in a header value, so no two identities have one key.
  return `${who.consumer}\n${who.tier}\n${roles}\n${scopes}\n${who.subject ?? ''}`;
}

/** Only what has been verified: a token that nobody looked at is not the gateway's to pass on. */
function showToken({ context, headers }: UpstreamCall): string {
  const { credential } = context.identity;
  const { authorization } = context.headers;
  if (credential !== 'jwt' && credential !== 'introspection') return '';
  if (typeof authorization !== 'string') return '';
  headers.authorization = authorization;
  return authorization;
}

/** The same for everybody, so answers may be shared. */
function showStatic(fixed: Readonly<Headers>): (call: UpstreamCall) => string {
  return ({ headers }) => {
    for (const name in fixed) headers[name] = fixed[name];
    return '';
  };
}
