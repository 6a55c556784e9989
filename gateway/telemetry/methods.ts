/** Methods that the HTTP semantic conventions know, the frequent ones first. */
export const knownMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'QUERY'];

/** `http.request.method`: clients can make methods up, so any other is `_OTHER`. */
export function knownMethod(method: string): string {
  return knownMethods.includes(method) ? method : '_OTHER';
}
