import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileReason } from './expand.ts';
import { entriesAt, nodeAt, replaceAt, type ConfigNode, type ConfigPath } from './node.ts';
import { problemAt, type Problem } from './problem.ts';

interface Located {
  readonly root: ConfigNode;
  readonly problems: readonly Problem[];
}

/** Makes the paths of files and folders absolute, from whoever wrote them, and misses those that are not there. */
export function locateFiles(root: ConfigNode): Located {
  const tls = entriesAt(root, ['upstreams']).flatMap(([name]) =>
    ['ca', 'cert', 'key'].map((key) => ['upstreams', name, 'tls', key]),
  );
  const documents = entriesAt(root, ['upstreams']).map(([name]) => ['upstreams', name, 'openapi']);
  const listen = ['cert', 'key', 'clientCa', 'crl'].map((key) => ['listen', 'tls', key]);
  const problems: Problem[] = [];
  const located = [
    ['modules'],
    ['telemetry', 'audit'],
    ['graphql', 'documents', 'path'],
    ...listen,
    ...tls,
    ...documents,
  ].reduce((tree: ConfigNode, path: ConfigPath) => {
    const node = nodeAt(root, path);
    if (typeof node?.content !== 'string' || node.content === '') return tree;
    const absolute = resolve(node.origin.directory, node.content);
    // The audit log is made where it is not there; its folder is not.
    const made = path[0] === 'telemetry';
    const wanted = path[0] === 'modules' ? 'folder' : 'file';
    const either = path[0] === 'graphql';
    const reason = either
      ? missing(absolute, 'file or folder')
      : made
        ? missing(dirname(absolute), 'folder')
        : missing(absolute, wanted);
    if (reason)
      problems.push(
        problemAt(root, path, {
          message: made
            ? `names a file in a folder that ${reason}`
            : `names a ${either ? 'file or folder' : wanted} that ${reason}`,
          fix: `correct the path; it starts at the folder of ${node.origin.file}`,
        }),
      );
    return replaceAt(tree, path, absolute);
  }, root);
  return { root: located, problems };
}

function missing(path: string, wanted: 'folder' | 'file' | 'file or folder'): string | undefined {
  try {
    const folder = statSync(path).isDirectory();
    return wanted === 'file or folder' || folder === (wanted === 'folder') ? undefined : `is no ${wanted}`;
  } catch (error) {
    return fileReason(error);
  }
}
