import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Module } from '#resolvers/module.ts';
import { ServiceDocument } from '#upstreams/service-document.ts';
import type { Transform } from '#upstreams/transforms/transform.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { ProblemsError } from '#gateway/problems.ts';

/** A service's document, and the file it was read from. */
export interface UpstreamDocument {
  readonly document: ServiceDocument;
  readonly from: string;
}

/** By what {@link documentName} says. */
export type UpstreamDocuments = ReadonlyMap<string, UpstreamDocument>;

/** The document of an upstream, or of the version that a transform makes of it. */
export function documentName(upstream: string, transform: Transform | undefined): string {
  return transform ? `${upstream}-${transform.definition.from}` : upstream;
}

/**
 * The OpenAPI documents of upstreams, by upstream: what the configuration names, and else what the module names. Of routes
 * that serve another version, that of their transform.
 * @throws {ProblemsError} with those that cannot be read
 */
export function readDocuments(config: GatewayConfig, modules: readonly Module[]): UpstreamDocuments {
  const files = new Map<string, string>();
  for (const { openapi } of modules)
    for (const [upstream, url] of Object.entries(openapi)) files.set(upstream, fileURLToPath(url));
  for (const [upstream, { openapi }] of Object.entries(config.upstreams))
    if (openapi !== undefined) files.set(upstream, openapi);
  const transforms = new Map(modules.flatMap((module) => module.transforms.map((one) => [one.name, one] as const)));
  for (const { upstream, split, transform: name = split?.[0]?.transform } of config.routes) {
    const transform = name === undefined ? undefined : transforms.get(name);
    if (!transform) continue;
    files.set(
      documentName(upstream ?? split![0]!.upstream, transform),
      fileURLToPath(transform.definition.documents.from),
    );
  }
  const documents = new Map<string, UpstreamDocument>();
  const problems: string[] = [];
  for (const [upstream, file] of files) {
    const from = relative('', file);
    try {
      documents.set(upstream, { document: ServiceDocument.read(file), from });
    } catch (error) {
      problems.push(
        `The OpenAPI document of upstream ${upstream} (${from}) cannot be read: ${(error as Error).message}. Fix: correct it.`,
      );
    }
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return documents;
}
