import { Document, isScalar, Pair, Scalar, YAMLMap, YAMLSeq, type Node } from 'yaml';
import type { LoadedConfig } from './load.ts';
import { formatOrigin, isList, isMap, type ConfigNode, type ConfigPath } from './node.ts';
import { isSecret, redacted, withoutUserinfo } from './secrets.ts';

/**
 * The effective configuration as YAML that could be loaded again, each value with its source in a comment. Secrets are
 * redacted. What modules bring is written out, so a copy of it is to be run without them.
 */
export function printConfig({ sources, file, hash }: LoadedConfig): string {
  const document = new Document(toYaml(sources.root, []));
  document.commentBefore = ` Effective configuration of ${file}, ${hash}`;
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

function toYaml(node: ConfigNode, path: ConfigPath): Node {
  const { content, origin } = node;
  const comment = ` ${formatOrigin(origin)}`;
  if (isMap(content)) {
    const map = new YAMLMap();
    for (const [key, child] of content) map.items.push(new Pair(new Scalar(key), toYaml(child, [...path, key])));
    return content.size > 0 ? map : Object.assign(map, { flow: true, comment });
  }
  if (isList(content)) {
    const list = new YAMLSeq();
    list.items.push(...content.map((child, index) => toYaml(child, [...path, index])));
    const ofOneSource = content.every(
      (child) => !isMap(child.content) && !isList(child.content) && formatOrigin(child.origin) === formatOrigin(origin),
    );
    if (!ofOneSource) return list;
    for (const item of list.items) if (isScalar(item)) delete item.comment;
    return Object.assign(list, { flow: true, comment });
  }
  const scalar = new Scalar(typeof content === 'string' ? shown(content, node, path) : content);
  // A comment can only follow a value of one line.
  if (typeof scalar.value === 'string' && scalar.value.includes('\n')) scalar.type = Scalar.QUOTE_DOUBLE;
  return Object.assign(scalar, { comment });
}

function shown(text: string, node: ConfigNode, path: ConfigPath): string {
  if (text !== '' && isSecret(path, node)) return redacted;
  return withoutUserinfo(text).replaceAll('${', () => '$${');
}
