import { PathPattern } from './pattern.ts';
import type { Criteria, TableEntry } from './table.ts';

/** A path that the gateway answers itself: `/graphql`, and pages such as `/docs/errors/CODE`. */
export class OwnRoute implements TableEntry {
  readonly door: 'graphql' | 'page';
  readonly name: string;
  readonly path: string;
  readonly criteria: Criteria;
  readonly origin = 'the gateway';
  readonly replaces = undefined;
  readonly maxBodyBytes: number;
  readonly bufferBytes = Number.POSITIVE_INFINITY;

  constructor(door: 'graphql' | 'page', path: string, methods: readonly string[], maxBodyBytes: number) {
    this.door = door;
    this.name = path;
    this.path = path;
    this.maxBodyBytes = maxBodyBytes;
    this.criteria = {
      pattern: new PathPattern(path),
      methods: new Set(methods),
      host: undefined,
      headers: [],
      query: [],
    };
  }
}
