import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * For a gateway whose load all comes from one address, which by default may send a hundred requests a second.
 * @param folder of its checkout, which may be of before there were limits
 */
export function oneClient(folder: string): object {
  return existsSync(join(folder, 'policies/limits')) ? { limits: { perIp: [] } } : {};
}
