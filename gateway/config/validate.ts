import type { z } from 'zod';
import { findingOf, type Issue } from './findings.ts';
import { nodeAt, plain, replaceAt, type ConfigNode, type ConfigPath } from './node.ts';
import { problemAt, type Problem } from './problem.ts';
import { configSchema, type GatewayConfig } from './schema.ts';

interface Validated {
  readonly root: ConfigNode;
  /** Undefined where there are problems. */
  readonly config: GatewayConfig | undefined;
  readonly problems: readonly Problem[];
}

/**
 * Reads the tree with the schema. What an expression brought in is text; where the schema wants a number or a boolean
 * instead, it is read as one.
 */
export function validate(written: ConfigNode): Validated {
  let root = written;
  let result = parse(root);
  if (!result.success) {
    for (const { path, kind } of issuesOf(result.error.issues)) {
      const value = kind === 'type' ? readExpanded(nodeAt(root, path)) : undefined;
      if (value !== undefined) root = replaceAt(root, path, value);
    }
    if (root !== written) result = parse(root);
  }
  if (result.success) return { root, config: result.data, problems: [] };
  const problems = issuesOf(result.error.issues).map((issue) => {
    const at = issue.kind === 'unknown-key' || issue.kind === 'bad-key' ? 'key' : 'value';
    return problemAt(
      root,
      issue.path,
      findingOf(issue, nodeAt(written, issue.path), nodeAt(written, issue.path.slice(0, -1))),
      at,
    );
  });
  return { root, config: undefined, problems };
}

function parse(root: ConfigNode): z.ZodSafeParseResult<GatewayConfig> {
  // Where a schema has no words of its own, the finding is made from the contract.
  return configSchema.safeParse(plain(root), { error: () => '' });
}

function readExpanded(node: ConfigNode | undefined): number | boolean | undefined {
  if (typeof node?.content !== 'string' || node.origin.via === undefined) return undefined;
  if (/^(true|false)$/.test(node.content)) return node.content === 'true';
  return /^-?\d+(\.\d+)?$/.test(node.content) ? Number(node.content) : undefined;
}

function issuesOf(issues: readonly z.core.$ZodIssue[], base: ConfigPath = []): Issue[] {
  return issues.flatMap((issue): Issue[] => {
    const path = [...base, ...issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key))];
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => ({ path: [...path, key], kind: 'unknown-key', message: '' }));
      case 'invalid_key':
        return [{ path, kind: 'bad-key', message: issue.issues[0]?.message ?? '' }];
      case 'invalid_union': {
        // The form that the value was meant to have is the one it fits at least from outside.
        const meant = issue.errors.find((errors) =>
          errors.every(
            ({ code, path: within }) => within.length > 0 || !(code === 'invalid_type' || code === 'invalid_value'),
          ),
        );
        return meant ? issuesOf(meant, path) : [{ path, kind: 'type', message: issue.message }];
      }
      case 'invalid_value':
        return [{ path, kind: 'type', message: issue.message }];
      case 'invalid_type':
        return [{ path, kind: 'type', message: '' }];
      default:
        return [{ path, kind: 'value', message: rangeMessage(issue) }];
    }
  });
}

/** The contract says the range of a number better than the field's own words do. */
function rangeMessage(issue: z.core.$ZodIssue): string {
  const ofNumber =
    (issue.code === 'too_small' || issue.code === 'too_big') && (issue.origin === 'int' || issue.origin === 'number');
  return ofNumber ? '' : issue.message;
}
