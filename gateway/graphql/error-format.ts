import { GraphQLError, Kind, type GraphQLFormattedError } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { noteDenial } from '#core/denial.ts';
import { errorRow, WeirError, type ErrorCode } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';

interface ClientError {
  readonly message: string;
  readonly extensions: Readonly<Record<string, unknown>> & { readonly code: string };
}

/**
 * Decides what of an error a client reads. What a resolver means for clients it throws as a `WeirError`, or as a
 * `GraphQLError` with a `code` in its `extensions`; everything else is a defect, which the log gets whole and the client
 * as `INTERNAL`: the engine's own errors among it, since they quote the upstream's values.
 */
export class ErrorFormat {
  readonly #log: Logger;
  /** The request that an error was last logged for: one failed call can be the error of a thousand fields. */
  readonly #logged = new WeakMap<object, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  format(error: GraphQLError, context: RequestContext): GraphQLFormattedError {
    const { locations, path } = error;
    const place = { ...(locations && { locations }), ...(path && { path }) };
    const { message, extensions } = this.#clientSafe(error, context);
    context.errorCode ??= extensions.code;
    noteDenial(context, { code: extensions.code, message });
    return { message, ...place, extensions: { ...extensions, requestId: context.id } };
  }

  #clientSafe(error: GraphQLError, context: RequestContext): ClientError {
    const { code: ownCode, http: _, ...rest } = error.extensions;
    // `http` is how a Yoga server is asked for a status, which is not a resolver's to choose here.
    if (typeof ownCode === 'string') return { message: error.message, extensions: { ...rest, code: ownCode } };
    const cause = rootCause(error);
    if (cause instanceof WeirError) {
      const { code, upstream, extensions, message } = cause;
      context.errorCause ??= cause.cause;
      return { message, extensions: { ...extensions, code, ...(upstream !== undefined && { upstream }) } };
    }
    const code: ErrorCode = isAboutArgument(cause) ? 'BAD_USER_INPUT' : 'INTERNAL';
    if (code === 'BAD_USER_INPUT') return { message: error.message, extensions: { code } };
    this.#report(cause, error, context);
    return { message: errorRow(code).title, extensions: { code } };
  }

  #report(cause: unknown, { path }: GraphQLError, context: RequestContext): void {
    if (typeof cause === 'object' && cause !== null) {
      if (this.#logged.get(cause) === context.id) return;
      this.#logged.set(cause, context.id);
    }
    this.#log.error({ requestId: context.id, path: path?.join('.'), err: cause }, 'a resolver failed');
  }
}

/** What was thrown in the first place; a `WeirError` on the way there says what it means. */
function rootCause(error: Error): unknown {
  let cause: unknown = error;
  while (cause instanceof GraphQLError && cause.cause !== undefined) cause = cause.cause;
  return cause;
}

/** The engine's errors about the value of an argument point at the value, all others of execution at a field. */
function isAboutArgument(cause: unknown): boolean {
  const kind = cause instanceof GraphQLError ? cause.nodes?.[0]?.kind : undefined;
  return kind !== undefined && kind !== Kind.FIELD;
}
