import type { Headers } from '#core/headers.ts';
import type { Identity } from '#core/identity.ts';
import type { Layer } from '#upstreams/layer.ts';

/**
 * Shows the upstream who is asking, as its `identity` says, and records exactly what was shown: that is part of the key
 * under which a read may be shared. It alone writes `x-weir-*` identity headers; the doors have dropped the client's.
 */
export const identity: Layer = {
  name: 'identity',
  over: (upstream, next) => {
    if (upstream.settings.identity === 'none') return next;
    return (call, sink) => {
      if (call.own) return next(call, sink);
      call.identityKey = show(call.context.identity, call.headers);
      return next(call, sink);
    };
  },
};

function show(who: Identity, headers: Headers): string {
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
