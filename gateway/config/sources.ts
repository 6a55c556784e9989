import { defaultOrigin, formatOrigin, nodeAt, type ConfigNode, type ConfigPath } from './node.ts';

/** Where the values of a configuration came from. */
export class Sources {
  /** The effective configuration in the spelling of the file, defaults included. */
  readonly root: ConfigNode;

  constructor(root: ConfigNode) {
    this.root = root;
  }

  /** `default`, `module orders`, `gateway.yaml:12` or `gateway.yaml:12 ${env.NAME}`; of a route for instance `['routes', 3]`. */
  of(path: ConfigPath): string {
    return formatOrigin(nodeAt(this.root, path)?.origin ?? defaultOrigin);
  }

  /** Whether a module or the file says something there. */
  isWritten(path: ConfigPath): boolean {
    return (nodeAt(this.root, path)?.origin ?? defaultOrigin) !== defaultOrigin;
  }
}
