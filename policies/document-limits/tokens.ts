import { getLocation, Lexer, TokenKind, type Source, type Token } from 'graphql';
import { limitExceeded } from './excess.ts';
import type { DocumentLimits } from './settings.ts';

/**
 * Brackets within brackets. Parsing, validation and execution recurse once or more per bracket, and the stack of Node
 * ends at some thousands; no document within {@link DocumentLimits} that somebody wrote comes near this.
 */
const maxNesting = 256;

/** The phase of a document: {@link checkTokens}, whose count the document keeps. */
export function countTokens(
  draft: { readonly source: Source; tokens: number },
  { settings }: { readonly settings: DocumentLimits },
): void {
  draft.tokens = checkTokens(draft.source, settings);
}

/**
 * Reads the tokens of a document, without parsing it, and stops at the first one that is beyond a limit: a parser that
 * has been fed a bomb is too late to refuse it.
 * @returns how many tokens there are
 * @throws {WeirError} `DOCUMENT_LIMIT_EXCEEDED`
 * @throws {GraphQLError} where the text is not made of GraphQL tokens
 */
export function checkTokens(source: Source, limits: DocumentLimits): number {
  const lexer = new Lexer(source);
  let tokens = 0;
  let nesting = 0;
  let directives = 0;
  for (;;) {
    const token = lexer.advance();
    switch (token.kind) {
      case TokenKind.EOF:
        return tokens;
      case TokenKind.BRACE_L:
      case TokenKind.BRACKET_L:
      case TokenKind.PAREN_L:
        if (++nesting > maxNesting) throw beyond('nesting', 'brackets within brackets', maxNesting, source, token);
        break;
      case TokenKind.BRACE_R:
      case TokenKind.BRACKET_R:
      case TokenKind.PAREN_R:
        nesting--;
        break;
      case TokenKind.AT:
        if (++directives > limits.maxDirectives)
          throw beyond('maxDirectives', 'directives', limits.maxDirectives, source, token);
        break;
      default:
    }
    if (++tokens > limits.maxTokens) throw beyond('maxTokens', 'tokens', limits.maxTokens, source, token);
  }
}

/** Counting stops where the limit is passed, so all that is known is that there are more. */
function beyond(limit: string, what: string, maximum: number, source: Source, { start }: Token): Error {
  return limitExceeded(
    { limit, maximum, actual: undefined, where: getLocation(source, start) },
    `The document has more than ${maximum} ${what}.`,
  );
}
