import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { resolve } from 'node:path';

/** Only the permission bits: set-id bits have no place on a configuration. */
const permissions = 0o777;

/**
 * Puts `text` in the place of a file as a whole or not at all: whoever reads it at any moment, a gateway that starts or the
 * same machine after its power has failed, finds the one or the other. Owner and mode stay.
 *
 * A link is left alone. Whoever made it chose what it points at, as Kubernetes does with its ConfigMaps: to put a file in
 * its place would cut off their next change, and to write through it would falsify what they think they keep there.
 * @returns why it could not be
 */
export function restoreFile(file: string, text: string): string | undefined {
  const path = resolve(file);
  // Not to be guessed, and made by us or not at all: others may be allowed to write to the folder.
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    const former = lstatSync(path, { throwIfNoEntry: false });
    if (former?.isSymbolicLink()) return 'it is a symbolic link, which is for whoever made it to point back';
    write(beside, text);
    if (former) takeAfter(former, beside);
    renameSync(beside, path);
    return undefined;
  } catch (error) {
    rmSync(beside, { force: true });
    return (error as Error).message;
  }
}

/** It may hold secrets, so that nobody else may read it before its mode is known. */
function write(path: string, text: string): void {
  const descriptor = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function takeAfter({ uid, gid, mode }: Stats, path: string): void {
  const own = lstatSync(path);
  if (own.uid !== uid || own.gid !== gid) chownSync(path, uid, gid);
  chmodSync(path, mode & permissions);
}
