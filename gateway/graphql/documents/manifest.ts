import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { z } from 'zod';
import { fileReason } from '#gateway/config/expand.ts';

/** A document as it was found, before anybody has looked into it. */
export interface ListedDocument {
  readonly id: string;
  readonly text: string;
  /** Its file, and its place there. */
  readonly from: string;
}

interface Listed {
  readonly documents: readonly ListedDocument[];
  /** Sentences about what cannot be read. */
  readonly problems: readonly string[];
}

const apolloFormat = 'apollo-persisted-query-manifest';

const apollo = z.object({
  format: z.literal(apolloFormat),
  version: z.literal(1),
  operations: z.array(z.object({ id: z.string(), name: z.string().optional(), body: z.string() })),
});

/** What the compilers of Relay and graphql-codegen write: documents by their hash. */
const byHash = z.record(z.string(), z.string());

/** Of a query, an id has to go through a URL and the log as it is. */
const idSyntax = /^[\w.~:+/=-]{1,256}$/;

/** Reads a manifest, or all manifests and `.graphql` files of a folder and the folders in it. */
export function listDocuments(path: string): Listed {
  const found: Listed[] = filesOf(path).map((file) => {
    const from = relative('', file);
    try {
      const text = readFileSync(file, 'utf8');
      return file.endsWith('.json') ? readManifest(text, from) : fromFile(file, text, from);
    } catch (error) {
      return problem(`${from} ${fileReason(error)}.`);
    }
  });
  const documents = found.flatMap((listed) => listed.documents);
  const problems = found.flatMap((listed) => listed.problems);
  const misnamed = documents.flatMap(({ id, from }) =>
    idSyntax.test(id)
      ? []
      : [`${from}: '${id.slice(0, 64)}' cannot be an id. Fix: use letters, digits and - . _ ~ only, at most 256.`],
  );
  return { documents, problems: [...problems, ...misnamed] };
}

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(graphql|gql|json)$/.test(name))
    .toSorted()
    .map((name) => join(path, name));
}

/** A file's name is the id of its document; its SHA-256 is one of any document. */
function fromFile(file: string, text: string, from: string): Listed {
  return { documents: [{ id: basename(file).replace(/\.(graphql|gql)$/, ''), text, from }], problems: [] };
}

function readManifest(text: string, from: string): Listed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return problem(`${from} is not JSON: ${(error as Error).message}.`);
  }
  if (typeof value === 'object' && value !== null && 'format' in value) {
    const { success, data, error } = apollo.safeParse(value);
    if (!success) return problem(`${from} is no manifest of the format ${apolloFormat}, version 1: ${reason(error)}.`);
    return {
      documents: data.operations.map(({ id, name, body }) => ({
        id,
        text: body,
        from: `${from} (${name ?? id})`,
      })),
      problems: [],
    };
  }
  const { success, data, error } = byHash.safeParse(value);
  if (!success)
    return problem(`${from} is no manifest: ${reason(error)}. Fix: write { "id": "query …" }, or Apollo's format.`);
  return {
    documents: Object.entries(data).map(([id, body]) => ({ id, text: body, from: `${from} (${id})` })),
    problems: [],
  };
}

function problem(text: string): Listed {
  return { documents: [], problems: [text] };
}

function reason({ issues }: z.ZodError): string {
  const [issue] = issues;
  return issue ? `${issue.path.join('.') || 'it'}: ${issue.message}` : 'it cannot be read';
}
