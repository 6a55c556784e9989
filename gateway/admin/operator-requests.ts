import { randomBytes } from 'node:crypto';
import type { Request } from 'express';
import { z } from 'zod';
import { formatDuration } from '#core/duration.ts';
import { duration, network } from '#upstreams/fields.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import type { StoredQuestion } from '#upstreams/cache/stored-answers.ts';
import {
  actionsOf,
  defaultOverrideMs,
  maxOverrideMs,
  minOverrideMs,
  overrideActions,
  overrideKinds,
  type OverrideKind,
  type Operator,
  type OperatorCommand,
} from '#gateway/control/override.ts';
import { isTraceId } from '#gateway/telemetry/trace-context.ts';
import { parse, type Parsed } from './parsed.ts';

/** What an operator wrote goes to logs and terminals: no control characters, and no more than a person reads. */
function line(maxLength: number) {
  return z
    .string()
    .trim()
    .min(1, 'is empty')
    .max(maxLength, `is longer than ${maxLength} characters`)
    .regex(/^\P{Cc}+$/u, 'has control characters');
}

const by = line(128);
const reason = line(500).optional();

const whoSchema = z.strictObject({ by: by.optional(), reason });

const setSchema = z
  .strictObject({
    kind: z.enum(overrideKinds),
    target: line(512),
    action: z.enum(overrideActions),
    scale: z.number().min(0.001).max(1_000).optional(),
    for: duration({ minMs: minOverrideMs, maxMs: maxOverrideMs }).prefault(formatDuration(defaultOverrideMs)),
    by,
    reason,
  })
  .refine(({ kind, action }) => actionsOf[kind].includes(action), {
    path: ['action'],
    error: ({ input }) => {
      const { kind } = input as { kind: keyof typeof actionsOf };
      return `is not for this kind; write ${actionsOf[kind].join(' or ')}`;
    },
  })
  .refine(({ action, scale }) => (action === 'scale') === (scale !== undefined), {
    path: ['scale'],
    error: 'belongs to the action scale, which needs it: a number such as 0.2',
  })
  .transform((wanted, context) => {
    const target = exactTarget(wanted.kind, wanted.target);
    if (target !== undefined) return { ...wanted, target };
    context.addIssue({ code: 'custom', path: ['target'], message: `write ${exactly[wanted.kind] ?? 'a name'}` });
    return z.NEVER;
  });

const removeSchema = z
  .strictObject({
    kind: z.enum(overrideKinds).optional(),
    target: line(512).optional(),
    action: z.enum(overrideActions).optional(),
    by,
    reason,
  })
  .refine(({ kind, target, action }) => kind ?? target ?? action, {
    error: 'say which: kind, target or action, or DELETE /admin/overrides/ID',
  });

/** POST /admin/overrides */
export function setCommand(request: Request, nowMs: number): Parsed<OperatorCommand> {
  const parsed = parse(setSchema, request.body ?? {});
  if (!parsed.ok) return parsed;
  const { kind, target, action, scale, for: forMs } = parsed.value;
  const override = {
    id: randomBytes(4).toString('hex'),
    kind,
    target,
    action,
    ...(scale !== undefined && { scale }),
    ...operatorOf(request, parsed.value),
    at: new Date(nowMs).toISOString(),
    until: new Date(nowMs + forMs).toISOString(),
  };
  return { ok: true, value: { type: 'set', override } };
}

/** DELETE /admin/overrides?kind=…&target=…&action=… or /admin/overrides/ID, by whom and why in the query too. */
export function removeCommand(request: Request, id?: string): Parsed<OperatorCommand> {
  if (id !== undefined) {
    const who = parse(whoSchema.required({ by: true }), request.query);
    if (!who.ok) return who;
    return { ok: true, value: { type: 'remove', which: { id }, operator: operatorOf(request, who.value) } };
  }
  const parsed = parse(removeSchema, request.query);
  if (!parsed.ok) return parsed;
  const { kind, target, action } = parsed.value;
  const which = {
    ...(kind && { kind }),
    ...(target !== undefined && { target: (kind && exactTarget(kind, target)) ?? target }),
    ...(action && { action }),
  };
  return { ok: true, value: { type: 'remove', which, operator: operatorOf(request, parsed.value) } };
}

/** A URL of HTTP or, without its scheme, what begins with two slashes and a host; or a path alone (RFC 3986 §4.2). */
const reference = /^(?:(?:https?:)?(\/\/[^/?#\\]+)|(?=\/(?!\/)))(\/[^?#]*)?(?=[?#]|$)/i;

/** A path as an upstream knows it; of a URL, its path. As it is written, since `URL` encodes what clients may not, such as `{`. */
const path = line(8_192).transform((text, context) => {
  const match = reference.exec(text);
  if (match) {
    const [, host, written = '/'] = match;
    if (host === undefined || URL.canParse(`http:${host}`)) return onTheWire(written);
  }
  context.addIssue({ code: 'custom', message: 'write a path such as /orders/7' });
  return z.NEVER;
});

/** A space cannot stand in a request line, nor what is not of ASCII (RFC 9112 §3.2, RFC 3986 §2): it has come encoded. */
function onTheWire(written: string): string {
  return written.replaceAll(/[^!-~]+/g, (other) => encodeURIComponent(other.toWellFormed()));
}

const upstreamName = line(63).optional();

const storedSchema = z.strictObject({ upstream: upstreamName, url: path });

/** GET /admin/cache?url=/orders/7&upstream=orders */
export function storedQuestion({ query }: Request): Parsed<StoredQuestion> {
  const parsed = parse(storedSchema, query);
  if (!parsed.ok) return parsed;
  const { upstream, url } = parsed.value;
  return { ok: true, value: { path: url, ...(upstream !== undefined && { upstream }) } };
}

const purgeSchema = z
  .strictObject({ upstream: upstreamName, url: path.optional(), tag: line(256).optional(), by, reason })
  .refine(({ upstream, url, tag }) => upstream ?? url ?? tag, { error: 'say what: url, tag or upstream' });

/** POST /admin/cache/purge */
export function purgeRequest(request: Request): Parsed<{ readonly what: Invalidation; readonly operator: Operator }> {
  const parsed = parse(purgeSchema, request.body ?? {});
  if (!parsed.ok) return parsed;
  const { upstream, url, tag } = parsed.value;
  const what: Invalidation = {
    ...(upstream !== undefined && { upstream }),
    ...(url !== undefined && { paths: [url] }),
    ...(tag !== undefined && { tags: [tag] }),
    ...(url === undefined && tag === undefined && { all: true }),
  };
  return { ok: true, value: { what, operator: operatorOf(request, parsed.value) } };
}

/** Of a request that may say who asks: POST /admin/reload, for one. */
export function operatorFrom(request: Request): Parsed<Operator> {
  const who = parse(whoSchema, request.body ?? {});
  return who.ok ? { ok: true, value: operatorOf(request, { ...who.value, by: who.value.by ?? 'unknown' }) } : who;
}

function operatorOf(request: Request, who: { readonly by: string; readonly reason?: string | undefined }): Operator {
  return { by: who.by, ...(who.reason !== undefined && { reason: who.reason }), from: fromOf(request) };
}

/** The address that asks. */
export function fromOf({ socket }: Request): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}

const exactly: Readonly<Partial<Record<OverrideKind, string>>> = {
  endpoint: 'a URL such as http://127.0.0.1:5002',
  ip: 'an address or a CIDR block, such as 192.0.2.7 or 2001:db8::/64',
  trace: 'a trace id of 32 hex digits',
};

/** As the gateway itself calls it. */
function exactTarget(kind: (typeof overrideKinds)[number], target: string): string | undefined {
  if (kind === 'endpoint') {
    const url = URL.parse(target);
    return url && /^https?:$/.test(url.protocol) ? url.origin : undefined;
  }
  if (kind === 'ip') return network().safeParse(target).success ? target : undefined;
  if (kind !== 'trace') return target;
  // A whole traceparent is what people have at hand.
  const id = (/^[\da-f]{2}-([\da-f]{32})-/i.exec(target)?.[1] ?? target).toLowerCase();
  return isTraceId(id) ? id : undefined;
}
