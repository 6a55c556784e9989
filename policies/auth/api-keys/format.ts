import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Found by scanners of leaked secrets, which look for what every key begins with. */
const prefix = 'weir_live_';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const secretChars = 32;
const checksumChars = 6;

const shape = new RegExp(`^${prefix}[0-9A-Za-z]{${secretChars + checksumChars}}$`);

export interface NewApiKey {
  /** To be shown once. */
  readonly key: string;
  /** To be kept. */
  readonly hash: string;
}

/** 190 bits that nobody guesses, and a checksum, so that a mistyped key is told from an unknown one without a look-up. */
export function newApiKey(): NewApiKey {
  let secret = '';
  while (secret.length < secretChars) {
    for (const byte of randomBytes(secretChars)) {
      // The bytes above the largest multiple of 62 would make some letters likelier.
      if (byte < 248 && secret.length < secretChars) secret += alphabet[byte % 62];
    }
  }
  const key = `${prefix}${secret}${checksumOf(secret)}`;
  return { key, hash: hashOf(key) };
}

export function hashOf(key: string): string {
  return `sha256:${hash('sha256', key)}`;
}

/** As much of a key as may be shown: enough to tell it from others, and of no use without the rest. */
export function prefixOf(key: string): string {
  return key.slice(0, prefix.length + 4);
}

/** The same of what somebody showed for a key: what does not look like one may be a secret to its last letter. */
export function writablePrefixOf(text: string): string | undefined {
  return text.startsWith(prefix) ? prefixOf(text) : undefined;
}

export function isApiKey(text: string): boolean {
  if (!shape.test(text)) return false;
  const secret = text.slice(prefix.length, -checksumChars);
  return text.endsWith(checksumOf(secret));
}

function checksumOf(secret: string): string {
  let rest = crc32(secret);
  let text = '';
  for (let index = 0; index < checksumChars; index++) {
    text = `${alphabet[rest % 62]}${text}`;
    rest = Math.floor(rest / 62);
  }
  return text;
}
