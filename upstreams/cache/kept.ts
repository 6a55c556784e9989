/** What takes room in the store, and where it stands among the others. */
export interface Kept {
  readonly bytes: number;
  /** It lies in the store no more. */
  gone: boolean;
  older: Kept | undefined;
  newer: Kept | undefined;
}

/** Where it is found, and taken out when it must make room. */
export interface Home {
  remove(entry: Kept): void;
}
