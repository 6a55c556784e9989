/**
 * Rows of one kind, in memory. A seeded row is made when it is first asked for, so a service with 50,000 of them is
 * up at once; its JSON and its ETag are made once per change, so a bulk answer is a join of strings.
 */
import { cursorOf } from './query.ts';
import { etagOf } from './respond.ts';

/** One entity with its serialized form. Replaced, never changed. */
export class Row<Entity> {
  readonly number: number;
  readonly entity: Entity;
  readonly json: string;
  #etag: string | undefined;

  constructor(number: number, entity: Entity) {
    this.number = number;
    this.entity = entity;
    this.json = JSON.stringify(entity);
  }

  get etag(): string {
    return (this.#etag ??= etagOf(this.json));
  }
}

export class Collection<Entity> {
  /** By number; `null` is a row that was removed, a gap one that nobody has asked for yet. */
  readonly #rows: (Row<Entity> | null | undefined)[];
  readonly #generate: (number: number) => Entity;
  #last: number;
  #size: number;

  constructor(seeded: number, generate: (number: number) => Entity) {
    this.#rows = Array.from({ length: seeded + 1 });
    this.#generate = generate;
    this.#last = seeded;
    this.#size = seeded;
  }

  get size(): number {
    return this.#size;
  }

  get(id: string): Row<Entity> | undefined {
    return /^[1-9]\d{0,8}$/.test(id) ? this.at(Number(id)) : undefined;
  }

  at(number: number): Row<Entity> | undefined {
    if (number < 1 || number > this.#last) return undefined;
    const row = this.#rows[number];
    if (row === undefined) return (this.#rows[number] = new Row(number, this.#generate(number)));
    return row ?? undefined;
  }

  /** In the order of the ids asked for; unknown ones are left out. */
  many(ids: Iterable<string>): Row<Entity>[] {
    const found: Row<Entity>[] = [];
    for (const id of ids) {
      const row = this.get(id);
      if (row) found.push(row);
    }
    return found;
  }

  insert(make: (id: string) => Entity): Row<Entity> {
    const number = ++this.#last;
    this.#size++;
    return (this.#rows[number] = new Row(number, make(String(number))));
  }

  replace(row: Row<Entity>, entity: Entity): Row<Entity> {
    return (this.#rows[row.number] = new Row(row.number, entity));
  }

  remove(row: Row<Entity>): void {
    this.#rows[row.number] = null;
    this.#size--;
  }

  /** Rows after a number, oldest first. */
  page(after: number, first: number, keep: (entity: Entity) => boolean = () => true): Page<Entity> {
    const rows: Row<Entity>[] = [];
    for (let number = after + 1; number <= this.#last; number++) {
      const row = this.at(number);
      if (!row || !keep(row.entity)) continue;
      if (rows.length === first) return { rows, nextCursor: cursorOf(rows[first - 1]!.number) };
      rows.push(row);
    }
    return { rows, nextCursor: null };
  }
}

export type Page<Entity> = { rows: Row<Entity>[]; nextCursor: string | null };

export function itemsJson(rows: readonly Row<unknown>[]): string {
  return `{"items":[${commaSeparated(rows)}]}`;
}

export function pageJson({ rows, nextCursor }: Page<unknown>, total: number): string {
  return `{"items":[${commaSeparated(rows)}],"nextCursor":${JSON.stringify(nextCursor)},"total":${total}}`;
}

export function commaSeparated(rows: readonly Row<unknown>[]): string {
  return rows.map((row) => row.json).join(',');
}

/** Numbers of rows by the number of their parent, for "the newest five of each user". */
export class ByParent {
  readonly #children = new Map<string, number[]>();

  add(parent: string, row: number): void {
    const rows = this.#children.get(parent);
    if (rows) rows.push(row);
    else this.#children.set(parent, [row]);
  }

  remove(parent: string, row: number): void {
    const rows = this.#children.get(parent);
    const index = rows?.indexOf(row) ?? -1;
    if (index >= 0) rows!.splice(index, 1);
  }

  /** Rows are added oldest first, so the newest are the last. */
  newest(parent: string, first: number): number[] {
    return this.#children.get(parent)?.slice(-first).toReversed() ?? [];
  }
}
