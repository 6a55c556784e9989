/** A credential that was shown and is not to be believed. The reason is for the client: it says nothing of any other. */
export class InvalidCredential extends Error {
  override readonly name = 'InvalidCredential';
}
