import type { Criticality } from '#core/criticality.ts';
import type { Requirement } from '#core/route.ts';
import { PathPattern } from './pattern.ts';
import type { Criteria, TableEntry } from './table.ts';

export interface OwnRouteOptions {
  readonly door: 'graphql' | 'limits' | 'page';
  readonly path: string;
  readonly methods: readonly string[];
  readonly maxBodyBytes: number;
  /** Undefined where each operation says it itself. */
  readonly criticality: Criticality | undefined;
  readonly requirement: Requirement;
}

/** A path that the gateway answers itself: `/graphql`, `/limits`, and pages such as `/docs/errors/CODE`. */
export class OwnRoute implements TableEntry {
  readonly door: 'graphql' | 'limits' | 'page';
  readonly name: string;
  readonly path: string;
  readonly criteria: Criteria;
  readonly origin = 'the gateway';
  readonly replaces = undefined;
  readonly maxBodyBytes: number;
  readonly bufferBytes = Number.POSITIVE_INFINITY;
  readonly criticality: Criticality | undefined;
  readonly requirement: Requirement;

  constructor({ door, path, methods, maxBodyBytes, criticality, requirement }: OwnRouteOptions) {
    this.door = door;
    this.name = path;
    this.path = path;
    this.maxBodyBytes = maxBodyBytes;
    this.criticality = criticality;
    this.requirement = requirement;
    this.criteria = {
      pattern: new PathPattern(path),
      methods: new Set(methods),
      host: undefined,
      headers: [],
      query: [],
    };
  }
}
